// An OpenID Connect provider for the tests: npm's oidc-provider with its own log-in pages.
//
// `node provider.mjs PORT REDIRECT_URI`. After `GET /forge?next=KIND` the next ID token is a forged one.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";
import { SignJWT, UnsecuredJWT, decodeJwt } from "jose";

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const key = { ...privateKey.export({ format: "jwk" }), kid: "tests", use: "sig", alg: "RS256" };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ["only for tests"] },
  conformIdTokenClaims: false,
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  clients: [{ client_id: "portal", client_secret: "a secret of the tests", redirect_uris: [redirectUri] }],
  // Whoever logs in is whom they say.
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: `subject of ${id}`, email: id, email_verified: true, name: "Provided Person" }),
  }),
});

const sign = (claims, by = privateKey) =>
  new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "tests" }).sign(by);
const forgeries = {
  nonce: (claims) => sign({ ...claims, nonce: "of another log-in" }),
  audience: (claims) => sign({ ...claims, aud: "another client" }),
  expired: (claims) => sign({ ...claims, iat: claims.iat - 7200, exp: claims.iat - 3600 }),
  issuer: (claims) => sign({ ...claims, iss: "http://127.0.0.1:1" }),
  unsigned: (claims) => new UnsecuredJWT(claims).encode(),
  key: (claims) => sign(claims, stranger),
};
let next = null;

provider.use(async (context, proceed) => {
  if (context.path === "/forge") {
    next = context.query.next;
    context.body = Object.keys(forgeries).includes(next) ? "ready" : "unknown";
    return;
  }
  await proceed();
  if (next && context.path === "/token" && context.body?.id_token) {
    context.body.id_token = await forgeries[next](decodeJwt(context.body.id_token));
    next = null;
  }
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
