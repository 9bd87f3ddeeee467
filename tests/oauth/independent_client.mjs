// Every flow of the authorization server, by a second independent client library (openid-client).
//
//     node independent_client.mjs FOLDER PORTAL DEMO_JSON
//
// FOLDER has the npm package `openid-client` in its `node_modules`; the portal runs with the demo programme.
// Prints one line a flow; ends with an error at the first that does not work.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const REDIRECT = 'http://127.0.0.1:9/callback'
const [folder, portal, demoFile] = process.argv.slice(2)
const packages = createRequire(join(resolve(folder), 'here.js'))
const load = (name) => import(pathToFileURL(packages.resolve(name)).href)
const oidc = await load('openid-client')
const jose = await load('jose')

const demo = JSON.parse(await readFile(demoFile, 'utf8'))
const app = `/api/v1/apps/${demo.app_id}`

async function api(method, path, token, body) {
  const headers = { 'content-type': 'application/json' }
  if (token) headers.authorization = `Bearer ${token}`
  const answer = await fetch(portal + path, { method, headers, body: body && JSON.stringify(body) })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
  return text ? JSON.parse(text) : null
}

const owner = (await api('POST', '/api/v1/sessions', null, demo.partner)).session_token
const draft = {
  name: 'Order sync',
  redirect_uris: [REDIRECT],
  scopes: [{ scope: 'orders:read', reason: 'To copy orders' }, { scope: 'orders:write' }],
  form: [{ name: 'region', label: 'Region', kind: 'choice', choices: ['eu', 'us'], required: true }],
}
if ((await api('GET', `${app}/listing`, owner)).live_submission_id === null) {
  await api('PATCH', `${app}/listing`, owner, { visibility: 'private', draft })
}

/// A new client of the app, configured by discovery.
async function makeClient(authentication, body = {}) {
  const issued = await api('POST', `${app}/oauth-clients`, owner, { environment: 'test', ...body })
  const config = await oidc.discovery(
    new URL(portal), issued.client.client_id, issued.client_secret, authentication(issued.client_secret),
    { algorithm: 'oauth2', execute: [oidc.allowInsecureRequests] },
  )
  return config
}

/// What the customer's browser does; answers the address it is sent to.
async function consent(url, decision = 'install') {
  const headers = { authorization: `Bearer ${owner}` }
  const body = new URLSearchParams(url.search)
  body.set('decision', decision)
  body.set('config.region', 'eu')
  const answer = await fetch(`${url.origin}${url.pathname}`, { method: 'POST', redirect: 'manual', headers, body })
  assert.equal(answer.status, 303, await answer.text())
  return new URL(answer.headers.get('location'))
}

async function authorize(config, changes = {}) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const parameters = {
    redirect_uri: REDIRECT, scope: 'orders:read', state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
    ...changes,
  }
  for (const [name, value] of Object.entries(parameters)) if (value === null) delete parameters[name]
  const url = oidc.buildAuthorizationUrl(config, parameters)
  return { url, checks: { pkceCodeVerifier, expectedState } }
}

async function install(config) {
  const { url, checks } = await authorize(config)
  return oidc.authorizationCodeGrant(config, await consent(url), checks)
}

async function refused(what, code, work) {
  let error
  try {
    await work()
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error, `${what}: ${code} was expected, and it worked`)
  const said = [error.error, error.code, error.message, error.cause?.message].join(' ')
  assert.ok(said.includes(code), `${what}: ${code} was expected: ${said}`)
  console.log(`ok refused: ${what}`)
}

async function everyFlow(config, label) {
  const server = config.serverMetadata()
  const tokens = await install(config)
  const keys = jose.createRemoteJWKSet(new URL(server.jwks_uri))
  const { payload } = await jose.jwtVerify(tokens.access_token, keys, { issuer: portal, typ: 'at+jwt' })
  assert.equal(payload.client_id, config.clientMetadata().client_id)
  assert.equal(payload.installation, tokens.installation_id)
  console.log(`ok authorization code with PKCE, ${label}`)
  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token)
  assert.notEqual(renewed.refresh_token, tokens.refresh_token)
  console.log(`ok refresh rotates, ${label}`)
  const active = async (token) => (await oidc.tokenIntrospection(config, token)).active
  assert.deepEqual([await active(renewed.access_token), await active(renewed.refresh_token)], [true, true])
  assert.equal(await active(tokens.refresh_token), false)
  console.log(`ok introspection, ${label}`)
  await oidc.tokenRevocation(config, renewed.refresh_token)
  assert.deepEqual([await active(renewed.access_token), await active(renewed.refresh_token)], [false, false])
  console.log(`ok revocation, ${label}`)
  const own = await oidc.clientCredentialsGrant(config, { scope: 'orders:read' })
  assert.equal(own.scope, 'orders:read')
  console.log(`ok client credentials, ${label}`)
}

const config = await makeClient(oidc.ClientSecretBasic)
await everyFlow(config, 'client_secret_basic')
await everyFlow(await makeClient(oidc.ClientSecretPost), 'client_secret_post')
for (const alg of ['ES256', 'RS256', 'EdDSA']) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true })
  const kid = `key-${alg}`
  const keys = { keys: [{ ...(await jose.exportJWK(publicKey)), kid, alg, use: 'sig' }] }
  const sign = () => oidc.PrivateKeyJwt({ key: privateKey, kid })
  await everyFlow(await makeClient(sign, { authentication: 'private_key_jwt', keys }), `private_key_jwt ${alg}`)
}

// Mix-up (RFC 9207): the answer names who gave it, and an answer of another server is not taken.
{
  const { url, checks } = await authorize(config)
  const back = await consent(url)
  assert.equal(back.searchParams.get('iss'), portal)
  for (const [what, change] of [
    ['an answer of another issuer', (answer) => answer.searchParams.set('iss', 'https://other.example')],
    ['an answer of no issuer', (answer) => answer.searchParams.delete('iss')],
  ]) {
    const changed = new URL(back)
    change(changed)
    await refused(what, 'iss', () => oidc.authorizationCodeGrant(config, changed, checks))
  }
  await refused('a state that was not sent', 'state', () =>
    oidc.authorizationCodeGrant(config, back, { ...checks, expectedState: 'another' }))
  const other = await makeClient(oidc.ClientSecretBasic)
  await refused('a code of another client', 'invalid_grant', () => oidc.authorizationCodeGrant(other, back, checks))
  await oidc.authorizationCodeGrant(config, back, checks)
  console.log('ok the code is not spoilt by that')
}

// A replayed code ends what came of it.
{
  const { url, checks } = await authorize(config)
  const back = await consent(url)
  const tokens = await oidc.authorizationCodeGrant(config, back, checks)
  await refused('a replayed code', 'invalid_grant', () => oidc.authorizationCodeGrant(config, back, checks))
  await refused('what came of it', 'invalid_grant', () => oidc.refreshTokenGrant(config, tokens.refresh_token))
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false)
}

// Wrong redirect: at the authorization endpoint nobody is sent anywhere; at the token endpoint it must be the same.
{
  const { url } = await authorize(config, { redirect_uri: 'http://127.0.0.1:9/callback/elsewhere' })
  const answer = await fetch(url, { redirect: 'manual', headers: { authorization: `Bearer ${owner}` } })
  assert.deepEqual([answer.status, answer.headers.get('location')], [400, null])
  console.log('ok refused: an address that is not registered')
  const right = await authorize(config)
  const back = await consent(right.url)
  back.pathname = '/another'
  await refused('another redirect_uri at the token endpoint', 'invalid_grant', () =>
    oidc.authorizationCodeGrant(config, back, right.checks))
}

// PKCE cannot be taken away or weakened.
for (const [what, change] of [
  ['no challenge', { code_challenge: null, code_challenge_method: null }],
  ['the method plain', { code_challenge_method: 'plain' }],
  ['no method, which means plain', { code_challenge_method: null }],
]) {
  const { url, checks } = await authorize(config, change)
  await refused(what, 'invalid_request', async () => oidc.authorizationCodeGrant(config, await consent(url), checks))
}
for (const [what, verifier, code] of [
  ['no verifier', undefined, 'invalid_request'],
  ['another verifier', oidc.randomPKCECodeVerifier(), 'invalid_grant'],
]) {
  const { url, checks } = await authorize(config)
  await refused(what, code, async () =>
    oidc.authorizationCodeGrant(config, await consent(url), { ...checks, pkceCodeVerifier: verifier }))
}

// A refresh token works once; its second use ends the family.
{
  const first = await install(config)
  const second = await oidc.refreshTokenGrant(config, first.refresh_token)
  await refused('a reused refresh token', 'invalid_grant', () => oidc.refreshTokenGrant(config, first.refresh_token))
  await refused('its successor', 'invalid_grant', () => oidc.refreshTokenGrant(config, second.refresh_token))
}

// A token is for this API only (RFC 8707).
{
  const gateway = jose.decodeJwt((await install(config)).access_token).aud
  const meant = await oidc.clientCredentialsGrant(config, { scope: 'orders:read', resource: gateway })
  assert.equal(jose.decodeJwt(meant.access_token).aud, gateway)
  await refused('another resource', 'invalid_target', () =>
    oidc.clientCredentialsGrant(config, { resource: 'https://other.example' }))
  const { url, checks } = await authorize(config, { resource: 'https://other.example' })
  await refused('another resource in a request', 'invalid_target', async () =>
    oidc.authorizationCodeGrant(config, await consent(url), checks))
}

{
  const { url, checks } = await authorize(config)
  await refused('what the customer declines', 'access_denied', async () =>
    oidc.authorizationCodeGrant(config, await consent(url, 'decline'), checks))
}
console.log('done')
