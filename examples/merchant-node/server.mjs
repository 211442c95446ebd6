// A product server for Souk, small enough to copy. It publishes its keys, signs
// product cards, confirms orders and hears of payments.
//
//   node server.mjs             serve; prints the keys to register, or product cards
//   node server.mjs card mug    print a product card
//   node server.mjs token       print a token for Souk's API, good for five minutes
//
// SOUK_URL         Souk's public URL, as it signs it (http://127.0.0.1:8080)
// MERCHANT_ID      this merchant's id, once it is registered
// WEBHOOK_SECRETS  whsec_…, or two with a space between while one replaces the other
// SOUK_AUDIENCE    whom the API's tokens are made for (souk)
// HOST, PORT, DATA where to listen (127.0.0.1:3000) and where to keep things (.)
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import * as jose from 'jose'
import { Webhook } from 'standardwebhooks'

const env = { SOUK_URL: 'http://127.0.0.1:8080', SOUK_AUDIENCE: 'souk', HOST: '127.0.0.1', PORT: '3000', DATA: '.', ...process.env }
const souk = env.SOUK_URL.replace(/\/$/, '')
const merchant = env.MERCHANT_ID
const webhooks = (env.WEBHOOK_SECRETS ?? '').split(' ').filter(Boolean).map((secret) => new Webhook(secret))
const products = { mug: { name: 'Blue mug', price: { amountMinor: 1250, currency: 'EUR' } } }

// Keys: one signs, the other decrypts; neither does the work of both. They are
// made once and kept closed to others.
async function newKey(alg, use) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true })
  const jwk = await jose.exportJWK(privateKey)
  return { ...jwk, alg, use, kid: await jose.calculateJwkThumbprint(jwk) }
}
const keyFile = join(env.DATA, 'keys.json')
if (!existsSync(keyFile)) {
  const made = [await newKey('EdDSA', 'sig'), await newKey('ECDH-ES+A256KW', 'enc')]
  writeFileSync(keyFile, JSON.stringify(made), { mode: 0o600, flag: 'wx' })
}
const [signJwk, decryptJwk] = JSON.parse(readFileSync(keyFile))
const [signKey, decryptKey] = [await jose.importJWK(signJwk), await jose.importJWK(decryptJwk)]
const jwks = { keys: [signJwk, decryptJwk].map(({ d, ...open }) => open) } // without the private part

// Souk's keys: the library fetches those that verify, and again when it meets an
// unknown one. The one to encrypt to is the first of that use.
const soukKeys = jose.createRemoteJWKSet(new URL(souk + '/.well-known/jwks.json'))
let encryption = { until: 0 }
async function encryptionKey() {
  if (Date.now() > encryption.until) {
    const answer = await fetch(souk + '/.well-known/jwks.json', { signal: AbortSignal.timeout(5000) })
    const jwk = (await answer.json()).keys.find((key) => key.use === 'enc')
    encryption = { kid: jwk.kid, alg: jwk.alg, key: await jose.importJWK(jwk), until: Date.now() + 300_000 }
  }
  return encryption
}

// What was decided is on disk before Souk hears of it, and is the same whenever
// Souk asks again. A shop has a database for this.
const orderFile = join(env.DATA, 'orders.jsonl')
const orders = new Map()
if (existsSync(orderFile)) {
  for (const line of readFileSync(orderFile, 'utf8').split('\n').filter(Boolean)) remember(JSON.parse(line))
}
function remember(entry) {
  orders.set(entry.orderId, entry)
  return entry
}
function keep(entry) {
  appendFileSync(orderFile, JSON.stringify(entry) + '\n', { flush: true })
  return remember(entry)
}

const sign = (claims, typ, life) =>
  new jose.SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ, kid: signJwk.kid }).setIssuer(merchant).setIssuedAt().setExpirationTime(life)
const card = (sku, confirm = 'server') => sign({ sku, ...products[sku], confirm }, 'souk-card+jwt', '1 day').sign(signKey)
const apiToken = () => sign({}, 'JWT', '5 minutes').setSubject(merchant).setAudience(env.SOUK_AUDIENCE).setJti(randomUUID()).sign(signKey)

// An order comes as a JWS inside a JWE. Everything about it is checked: who signed
// it, for whom, when, and that it is an order and not something else of Souk's.
async function readOrder(body) {
  const { plaintext } = await jose.compactDecrypt(body, decryptKey, { keyManagementAlgorithms: ['ECDH-ES+A256KW'], contentEncryptionAlgorithms: ['A256GCM'] })
  const { payload } = await jose.jwtVerify(plaintext, soukKeys, {
    typ: 'souk-order+jwt', issuer: souk, audience: merchant, algorithms: ['EdDSA', 'ES256'],
    clockTolerance: 60, maxTokenAge: '10 minutes', requiredClaims: ['exp', 'jti', 'order'],
  })
  return payload
}

function decide({ sku, quantity, unitPrice, total }) {
  const price = products[sku]?.price
  const fits = price && price.amountMinor === Number(unitPrice.amountMinor) && price.currency === unitPrice.currency &&
    price.amountMinor * quantity === Number(total.amountMinor) && price.currency === total.currency
  return fits ? { decision: 'CONFIRMED', reference: 'N-' + randomUUID() } : { decision: 'DECLINED', reason: 'not sold at this price' }
}

async function takeOrder(request, body) {
  if (!merchant) return { status: 503 } // whose order would it be?
  const { type, order } = await readOrder(body)
  const known = orders.get(order.id)
  if (type === 'order.release') { // it has ended unpaid: nothing may be delivered
    keep({ orderId: order.id, decision: 'DECLINED', reason: 'released', total: order.total })
    return { status: 204 }
  }
  if (type !== 'order.confirm') return { status: 400 }
  const answer = known ?? keep({ orderId: order.id, ...decide(order), total: order.total })
  const jws = await sign(answer, 'souk-answer+jwt', '5 minutes').setAudience(souk).setJti(randomUUID()).sign(signKey)
  const { key, kid, alg } = await encryptionKey()
  const jwe = new jose.CompactEncrypt(new TextEncoder().encode(jws)).setProtectedHeader({ alg, enc: 'A256GCM', cty: 'JWT', kid })
  return { status: 200, type: 'application/jose', body: await jwe.encrypt(key) }
}

// A webhook is verified over its bytes as they came. It may come more than once,
// under the same id: what is done for it must be harmless twice.
async function takeWebhook(request, body) {
  const genuine = webhooks.some((webhook) => {
    try { return webhook.verify(body, request.headers) } catch { return false }
  })
  if (!genuine) return { status: 401 }
  const { type, data } = JSON.parse(body)
  console.log(`${request.headers['webhook-id']}: ${type} ${data.orderId}`) // after order.paid: deliver
  return { status: 204 }
}

const routes = {
  'GET /.well-known/jwks.json': () => ({ status: 200, type: 'application/jwk-set+json', body: JSON.stringify(jwks) }),
  'GET /card': async (request, body, query) => products[query.get('sku')]
    ? { status: 200, type: 'application/jose', body: await card(query.get('sku'), query.get('confirm') ?? undefined) } : { status: 404 },
  'POST /orders': takeOrder,
  'POST /webhooks': takeWebhook,
}

async function readBody(request) {
  const parts = []
  let size = 0
  for await (const part of request) {
    if ((size += part.length) > 256 * 1024) throw Object.assign(new Error('too large'), { status: 413 })
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

// A fault of the message's is 4xx. Anything else is 503, and Souk asks again.
async function answer(request) {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  try {
    const route = routes[`${request.method} ${pathname}`]
    return route ? await route(request, await readBody(request), searchParams) : { status: 404 }
  } catch (error) {
    console.error(error.code ?? '', error.message)
    const unreachable = error.code === 'ERR_JWKS_TIMEOUT' || error.code === 'ERR_JOSE_GENERIC'
    return { status: error.status ?? (error instanceof jose.errors.JOSEError && !unreachable ? 401 : 503) }
  }
}

const [command, argument] = process.argv.slice(2)
if (command === 'card') console.log(await card(argument))
else if (command === 'token') console.log(await apiToken())
else {
  const server = createServer(async (request, response) => {
    const { status, type = 'text/plain', body = '' } = await answer(request)
    response.writeHead(status, { 'content-type': type }).end(body)
  })
  server.listen(Number(env.PORT), env.HOST, async () => {
    console.log(`listening on http://${env.HOST}:${server.address().port}`)
    if (!merchant) console.log('register these keys with Souk, then set MERCHANT_ID:', JSON.stringify(jwks))
    else for (const sku in products) console.log(`card of ${sku}:`, await card(sku))
  })
}
