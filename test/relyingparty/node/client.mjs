// An unmodified relying party: npm's openid-client. RELYING_PARTY says where the provider is and who this is. It prints the
// address to which a browser goes, reads the address at which it arrived, and prints what came of it.
import * as client from 'openid-client'
import { createInterface } from 'node:readline/promises'

const { issuer, id, secret, redirect, auth, mode } = JSON.parse(process.env.RELYING_PARTY)
const say = (v) => console.log(JSON.stringify(v))
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const hear = async () => JSON.parse((await lines.next()).value)

const authentication = { basic: client.ClientSecretBasic, post: client.ClientSecretPost }[auth](secret)
const config = await client.discovery(new URL(issuer), id, undefined, authentication, { execute: [client.allowInsecureRequests] })

const verifier = client.randomPKCECodeVerifier()
const [state, nonce] = [client.randomState(), client.randomNonce()]
const parameters = {
  redirect_uri: redirect, scope: 'openid profile email offline_access', state, nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
}
if (mode === 'hybrid') {
  client.useCodeIdTokenResponseType(config)
  parameters.response_mode = 'form_post'
}
say({ visit: client.buildAuthorizationUrl(config, parameters).href })

const back = await hear()
const arrived = back.form
  ? new Request(redirect, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: back.form })
  : new URL(back.url)
const tokens = await client.authorizationCodeGrant(config, arrived, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true })
const claims = tokens.claims()
const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
const active = await client.tokenIntrospection(config, refreshed.access_token)
await client.tokenRevocation(config, refreshed.refresh_token)
const inactive = await client.tokenIntrospection(config, refreshed.access_token)
const out = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: redirect, state: 'bye' })
say({ claims, info, refreshed: refreshed.claims(), active: active.active, inactive: inactive.active, visit: out.href })
process.exit(0)
