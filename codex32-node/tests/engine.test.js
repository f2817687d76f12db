'use strict'
// The engine in this process, as a Node program uses it.

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { createInterface } = require('node:readline')
const { test } = require('node:test')

const { Engine, connect, Codex32Error } = require('..')

const HELLO = `
codex32: v1
name: hello
steps:
  - id: greeting
    use: transform.value
    with: {value: "hello {{ input.name }}"}
`

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'codex32-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function open(t) {
  const engine = await Engine.open(join(folder(t), 'data.db'))
  t.after(() => engine.close())
  return engine
}

test('a bot is made, run and read back', async (t) => {
  const engine = await open(t)
  const saved = await engine.bots.create(HELLO)
  assert.equal(saved.version.number, 1)
  await engine.deployments.create('hello')
  const done = await engine.run('hello', { input: { name: 'Ada' }, wait: true })
  assert.equal(done.status, 'succeeded')
  assert.equal(done.output, 'hello Ada')
  assert.deepEqual(
    (await engine.bots.list()).items.map((bot) => bot.name),
    ['hello'],
  )
})

test('a sentence becomes a bot with no server', async (t) => {
  const engine = await open(t)
  const made = await engine.make('every hour check http://127.0.0.1:9/ and tell me on telegram if it is down')
  assert.equal(made.version.number, 1)
  assert.equal(made.deployment.status, 'active')
})

test('a JavaScript function is an action', async (t) => {
  const engine = await open(t)
  engine.action('crm.add_lead', { idempotent: true }, async ({ email }, context) => ({
    stored: email,
    key: context.idempotency_key,
  }))
  engine.action('burn', () => {
    throw new RangeError('the toast is black')
  })
  await engine.bots.create(`
codex32: v1
name: leads
steps:
  - id: lead
    use: crm.add_lead
    with: {email: "{{ input.email }}"}
`)
  await engine.deployments.create('leads')
  const done = await engine.run('leads', { input: { email: 'ada@example.org' }, wait: true })
  assert.deepEqual(done.output, { stored: 'ada@example.org', key: `${done.id}:lead` })
  await engine.bots.create('codex32: v1\nname: toast\nsteps:\n  - use: native.burn\n    with: {}\n')
  await engine.deployments.create('toast')
  const failed = await engine.run('toast', { wait: true })
  assert.equal(failed.status, 'failed')
  assert.match(failed.error.message, /RangeError: the toast is black/)
})

test('errors carry code, hint and faults', async (t) => {
  const engine = await open(t)
  await assert.rejects(engine.bots.get('nobody'), (error) => error instanceof Codex32Error && error.code === 'not_found')
  await assert.rejects(
    engine.bots.list({ limit: 100000 }),
    (error) => error.code === 'invalid' && error.faults[0].pointer === '/limit',
  )
})

test('a stream gives items until the execution ends', async (t) => {
  const engine = await open(t)
  await engine.bots.create(HELLO)
  await engine.deployments.create('hello')
  const started = await engine.run('hello', { input: { name: 'Grace' } })
  const kinds = []
  for await (const item of engine.executions.watch(started.id)) kinds.push(item.kind)
  assert.equal(kinds[0], 'started')
  assert.equal(kinds.at(-1), 'finished')
})

test('a server offers the same', async (t) => {
  const served = spawn(process.env.CODEX32_BIN, ['up', '--data', folder(t), '--listen', '127.0.0.1:0', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.after(() => served.kill())
  const line = await new Promise((resolve) => createInterface(served.stdout).once('line', resolve))
  const { address, token } = JSON.parse(line)
  const client = connect(address, { token })
  await client.bots.create(HELLO)
  await client.deployments.create('hello')
  const done = await client.run('hello', { input: { name: 'far' }, wait: true })
  assert.equal(done.output, 'hello far')
  await assert.rejects(connect(address, { token: 'c32_wrong' }).bots.list(), (e) => e.code === 'unauthenticated')
})

test('the process ends by itself when the engine is closed', (t) => {
  const script = `
    const { Engine } = require(${JSON.stringify(join(__dirname, '..'))})
    Engine.open(process.argv[1]).then(async (engine) => {
      engine.action('noop', () => 1)
      await engine.bots.list()
      await engine.close()
    })`
  const ended = spawnSync(process.execPath, ['-e', script, join(folder(t), 'data.db')], { timeout: 60000 })
  assert.equal(ended.status, 0, ended.stderr.toString())
})

test('the package offers every operation', async (t) => {
  const engine = await open(t)
  const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())
  for (const { name } of (await engine.self.operations()).items) {
    let target = engine
    for (const part of name.split('.')) target = target[camel(part)]
    assert.equal(typeof target, 'function', name)
  }
})

test('the example says welcome', () => {
  const example = join(__dirname, '..', '..', 'examples', 'leads_node', 'main.js')
  const done = spawnSync(process.execPath, [example, 'ada@example.org', 'grace@example.org'], { encoding: 'utf8' })
  assert.equal(done.status, 0, done.stderr)
  assert.deepEqual(done.stdout.trim().split('\n'), [
    'Welcome, lead 1: ada@example.org',
    'Welcome, lead 2: grace@example.org',
  ])
})
