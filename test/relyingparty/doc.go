// Package relyingparty signs people in to programs that others wrote, unmodified, by ODCM's OpenID Provider: Apache's
// mod_auth_openidc, npm's openid-client, and coreos/go-oidc with x/oauth2. How an unmodified Octopus server asks is tested
// beside the provider itself.
//
// Apart from Go it takes Debian's apache2, libapache2-mod-auth-openidc, nodejs and npm (make deps). Where one of them is
// missing its test is skipped with the reason, or fails where CI is set. Everything listens on loopback.
package relyingparty
