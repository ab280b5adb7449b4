// A provider of OpenID Connect that signs everybody in without asking (oauth2-mock-server): `oidc.mjs PORT`. What the
// address of signing in says besides becomes of that sign-in's ID token: `claims` (JSON) are put into it before it is signed,
// `forge=none` takes its signature away, `forge=signature` leaves one that was made for something else.
import { OAuth2Server } from 'oauth2-mock-server';

const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
const asked = new Map();

server.service.on('beforeAuthorizeRedirect', (redirect, request) => {
  const query = new URL(request.url, 'http://localhost').searchParams;
  asked.set(redirect.url.searchParams.get('code'), query);
});

server.service.on('beforeTokenSigning', (token, request) => {
  // An access token has no audience.
  const claims = token.payload.aud && asked.get(request.body.code)?.get('claims');
  if (claims) Object.assign(token.payload, JSON.parse(claims));
});

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

server.service.on('beforeResponse', (response, request) => {
  const [header, payload, signature] = response.body.id_token.split('.');
  switch (asked.get(request.body.code)?.get('forge')) {
    case 'none':
      response.body.id_token = `${encoded({ alg: 'none', typ: 'JWT' })}.${payload}.`;
      break;
    case 'signature': {
      const other = { ...JSON.parse(Buffer.from(payload, 'base64url')), sub: 'somebody-else' };
      response.body.id_token = `${header}.${encoded(other)}.${signature}`;
      break;
    }
  }
});

await server.start(Number(process.argv[2]), '127.0.0.1');
