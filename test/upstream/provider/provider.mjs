// Another organisation's OpenID provider, for tests: the certified npm package oidc-provider in the shape of Entra ID, of Google
// or of neither. The environment variable UPSTREAM says how (see Settings in upstream.go). The first line of output is the issuer.
import http from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.env.UPSTREAM);
let users = settings.users;

const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${server.address().port}`;
const issuer = origin + settings.path;

const everything = [...new Set(['sub', 'name', 'preferred_username', 'email', 'email_verified', 'groups', 'roles', 'hd', 'tid', 'oid', 'upn', 'xms_edov', 'hasgroups', 'realm_access'])];
const provider = new Provider(issuer, {
  clients: settings.clients,
  cookies: { keys: ['upstream'] },
  pkce: { required: () => true },
  claims: settings.sparse ? { openid: ['sub'], profile: everything.filter((c) => c !== 'sub') } : { openid: everything },
  conformIdTokenClaims: settings.sparse,
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  findAccount: (_, sub) => {
    const user = Object.values(users).find((u) => u.claims.sub === sub);
    return user && { accountId: sub, claims: () => user.claims };
  },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
  interactions: { url: (_, interaction) => `${settings.path}/interaction/${interaction.uid}` },
  // Nobody is asked whether the application may know who they are, as in an organisation whose administrator has agreed for all.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile email offline_access');
    await grant.save();
    return grant;
  },
});
// Real ones know scopes for APIs of their own, which are addresses; this one knows none and would refuse them.
function withoutAddresses(path) {
  const url = new URL(path, origin);
  const scope = url.searchParams.get('scope');
  if (!scope?.includes('://')) return path;
  url.searchParams.set('scope', scope.split(' ').filter((s) => !s.includes('://')).join(' '));
  return url.pathname + url.search;
}

const read = async (request) => {
  let body = '';
  for await (const piece of request) body += piece;
  return body;
};

// Entra ID gives applications tokens of their own at an address beside the issuer's.
async function application(request, response) {
  const form = new URLSearchParams(await read(request));
  const client = settings.clients.find((c) => c.client_id === form.get('client_id') && c.client_secret === form.get('client_secret'));
  const answer = !client ? [401, { error: 'invalid_client' }]
    : form.get('grant_type') !== 'client_credentials' || !form.get('scope')?.endsWith('/.default') ? [400, { error: 'invalid_request' }]
      : [200, { token_type: 'Bearer', expires_in: 3600, access_token: settings.applicationToken }];
  response.writeHead(answer[0], { 'Content-Type': 'application/json' }).end(JSON.stringify(answer[1]));
}

async function interaction(request, response) {
  if (request.method !== 'POST') {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    return response.end('<!doctype html><title>Upstream</title><h1>Upstream</h1><form method=post><input name=username aria-label=Username> <input name=password type=password aria-label=Password> <button>Sign in</button></form>');
  }
  const form = new URLSearchParams(await read(request));
  const name = form.get('username');
  if (form.get('deny')) {
    return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'the person said no' }, { mergeWithLastSubmission: false });
  }
  if (!users[name] || users[name].password !== form.get('password')) {
    return response.writeHead(401, { 'Content-Type': 'text/html' }).end('<!doctype html><p>Wrong.');
  }
  return provider.interactionFinished(request, response, { login: { accountId: users[name].claims.sub } }, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
server.on('request', async (request, response) => {
  try {
    if (request.url === '/control/users' && request.method === 'PUT') {
      users = JSON.parse(await read(request));
      return response.writeHead(204).end();
    }
    if (settings.applicationPath && request.url === settings.applicationPath) return await application(request, response);
    if (!request.url.startsWith(settings.path)) return response.writeHead(404).end();
    if (request.url.startsWith(`${settings.path}/interaction/`)) return await interaction(request, response);
    request.url = withoutAddresses(request.url);
    request.originalUrl = request.url;
    request.url = request.url.slice(settings.path.length) || '/';
    return await answer(request, response);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) response.writeHead(500).end();
  }
});
process.stdin.on('end', () => process.exit(0)).resume(); // who started it is gone
console.log(issuer);
