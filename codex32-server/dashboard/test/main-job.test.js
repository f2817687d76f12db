// The whole main job in a real browser: sign in, say a sentence, see it understood,
// make it, run it, watch its steps, see its effect at a real server.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const folder = mkdtempSync(join(tmpdir(), 'codex32-'))
const alerts = []
let counterpart, server, browser, started

before(async () => {
  counterpart = createServer((request, response) => {
    if (request.method === 'GET') return response.setHeader('content-type', 'application/json').end('{"usd": 42000}')
    let body = ''
    request.on('data', (part) => (body += part))
    request.on('end', () => {
      alerts.push({ body: JSON.parse(body), key: request.headers['idempotency-key'] })
      response.end('{}')
    })
  })
  counterpart.listen(0, '127.0.0.1')
  await once(counterpart, 'listening')
  server = spawn(process.env.CODEX32_BIN, ['up', '--data', join(folder, 'data'), '--listen', '127.0.0.1:0', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [line] = await once(createInterface(server.stdout), 'line')
  started = JSON.parse(line)
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
})

after(async () => {
  await browser?.close()
  server?.kill()
  counterpart?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(path = '/') {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  const foreign = []
  const faults = []
  page.on('request', (request) => {
    if (!request.url().startsWith(started.address)) foreign.push(request.url())
  })
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
  page.on('pageerror', (error) => faults.push(String(error)))
  await page.goto(started.address + path)
  return { page, foreign, faults }
}

test('a sentence becomes a bot that runs, on the dashboard', async () => {
  const { page, foreign, faults } = await open(`/#token=${started.token}`)
  const port = counterpart.address().port
  const base = `http://127.0.0.1:${port}`
  const prompt = page.getByLabel('What should be automated?')
  await prompt.fill(
    `every 5 minutes fetch ${base}/price.json and if usd is below 50000 post it to ${base}/alerts, call it btc-watch`,
  )
  await page.getByTestId('readback').filter({ hasText: /every 5 minutes/i }).waitFor()
  await page.getByTestId('blueprint').filter({ hasText: 'http.get' }).waitFor()
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, 'prompt.png') })
  await prompt.press('Control+Enter')

  await page.getByRole('heading', { name: 'btc-watch' }).waitFor()
  await page.getByRole('button', { name: 'Run now' }).click()
  await page.locator('[data-step="price"][data-status="succeeded"]').waitFor()
  await page.locator('h1 + .state.succeeded').waitFor()
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, 'execution.png') })
  assert.deepEqual(alerts.map((alert) => alert.body), [{ usd: 42000 }])
  assert.ok(alerts[0].key)

  await page.getByRole('link', { name: 'Bots' }).click()
  await page.getByRole('row', { name: /btc-watch/ }).getByText('succeeded').waitFor()
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, 'bots.png') })
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('row', { name: /btc-watch/ }).getByText('stopped').waitFor()
  assert.deepEqual(foreign, [], 'the page asks nobody else')
  assert.deepEqual(faults, [])
  await page.close()
})

test('a question is asked, and its answer makes the bot possible', async () => {
  const { page } = await open(`/#token=${started.token}`)
  await page.getByLabel('What should be automated?').fill('every hour check and tell me on telegram if it is down')
  const question = page.locator('.question input').first()
  await question.waitFor()
  assert.equal(await page.getByRole('button', { name: 'Make and deploy' }).isDisabled(), true)
  await page.close()
})

test('whoever is not signed in sees nothing, and a wrong token is said so', async () => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(started.address)
  await page.getByLabel('Token').fill('c32_wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').waitFor()
  assert.equal(await page.getByLabel('What should be automated?').count(), 0)
  await context.close()
})
