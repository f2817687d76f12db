'use strict'
// Functions as durable workflows.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { setTimeout: later } = require('node:timers/promises')
const { test } = require('node:test')

const { Engine, Codex32Error } = require('..')

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

/** The execution once it is over. */
async function ended(engine, { id }) {
  for await (const item of engine.executions.watch(id)) void item
  return engine.executions.get(id)
}

async function until(look) {
  const end = Date.now() + 60_000
  while (!(await look())) {
    assert.ok(Date.now() < end, 'waited in vain')
    await later(10)
  }
}

/** Until a call of the execution is begun, and nothing runs. */
async function reached(engine, { id }, step) {
  for await (const item of engine.executions.watch(id)) if (item.step === step) break
  await until(async () => (await engine.executions.get(id)).status === 'waiting')
}

test('a function does each thing once and waits', async (t) => {
  const engine = await open(t)
  const runs = []
  const done = []
  engine.workflow('child', (ctx, input) => ctx.step('double', () => input.n * 2))
  const version = await engine.workflow('order', { description: 'Charges and ships.' }, async (ctx, input) => {
    runs.push(ctx.execution)
    const own = ctx.uuid()
    const charged = await ctx.step('charge', { retry: { attempts: 3, delay: 1 } }, async (attempt) => {
      done.push(attempt.idempotencyKey)
      attempt.log('charging')
      if (attempt.number < 2) throw new Codex32Error({ code: 'unavailable', message: 'busy' })
      return input.amount
    })
    ctx.log('charged')
    const sent = await Promise.all(['a', 'b'].map((to) => ctx.step('send', async () => done.push(to) && to)))
    const parcel = await ctx.signal('parcel')
    await ctx.sleep('rest', 10)
    const doubled = await ctx.child('child', { n: 4 })
    assert.ok(ctx.now() > 0 && ctx.random() < 1)
    return { charged, sent, parcel, doubled, own }
  })
  assert.equal(version, 1)
  const started = await engine.run('order', { input: { amount: 5 } })
  await reached(engine, started, 'parcel')
  await engine.executions.signal(started.id, 'parcel', { payload: 'P-1' })
  const execution = await ended(engine, started)
  assert.equal(execution.status, 'succeeded', JSON.stringify(execution))
  const { own, ...output } = execution.output
  assert.deepEqual(output, { charged: 5, sent: ['a', 'b'], parcel: 'P-1', doubled: 8 })
  assert.match(own, /^[0-9a-f-]{36}$/)
  const key = `${started.id}:charge`
  assert.deepEqual(done.toSorted(), [key, key, 'a', 'b'].toSorted())
  assert.ok(runs.length > 1)
  const lines = (await engine.executions.logs(started.id)).items.map((line) => line.text)
  assert.deepEqual(lines.toSorted(), ['charged', 'charging', 'charging'])
})

test('a failure is an error with its code and names its step', async (t) => {
  const engine = await open(t)
  await engine.workflow('burns', async (ctx) => {
    const code = (error) => error.code
    const codes = [
      await ctx.step('toast', () => { throw new RangeError('black') }).catch(code),
      await ctx.step('slow', { timeout: 50 }, () => later(60_000, undefined, { ref: false })).catch(code),
      await ctx.signal('never', { timeout: 50 }).catch(code),
      await ctx.signal('a/b').catch(code),
      await ctx.child('nobody').catch(code),
    ]
    await ctx.step('codes', () => codes)
    await ctx.step('last', () => JSON.parse('{'))
  })
  const execution = await ended(engine, await engine.run('burns'))
  assert.equal(execution.error.step, 'last')
  assert.match(execution.error.message, /^SyntaxError: /)
  const codes = execution.steps.find((step) => step.path === 'codes').output
  assert.deepEqual(codes, ['failed', 'timeout', 'timeout', 'invalid', 'not_found'])
})

test('a cancellation aborts what runs', async (t) => {
  const engine = await open(t)
  const told = []
  await engine.workflow('long', async (ctx) => {
    const hang = ({ signal }) => new Promise(() => signal.addEventListener('abort', () => told.push('the body')))
    await ctx.step('hangs', hang).catch((error) => told.push(error.code))
  })
  const started = await engine.run('long')
  for await (const item of engine.executions.watch(started.id)) if (item.step === 'hangs') break
  await engine.executions.cancel(started.id)
  assert.equal((await ended(engine, started)).status, 'cancelled')
  await until(() => told.length === 2)
  assert.deepEqual(told.toSorted(), ['cancelled', 'the body'])
})

test('a function that strays is found out', async (t) => {
  const path = join(folder(t), 'data.db')
  const first = await Engine.open(path)
  await first.workflow('order', async (ctx) => {
    await ctx.step('charge', () => 1)
    return ctx.signal('go')
  })
  const started = await first.run('order')
  await reached(first, started, 'go')
  await first.close()
  const engine = await Engine.open(path)
  t.after(() => engine.close())
  await engine.workflow('order', async (ctx) => {
    await ctx.step('refund', () => 1)
    return ctx.signal('go')
  })
  await engine.executions.signal(started.id, 'go')
  const { error } = await ended(engine, started)
  assert.equal(error.code, 'nondeterministic')
  assert.match(error.message, /call 1 was the step `charge`, now it is the step `refund`/)
  await assert.rejects(engine.workflow('No name!', () => 1), { code: 'invalid' })
})

const KILLED = `
const { appendFileSync } = require('node:fs')
const { Engine } = require(${JSON.stringify(join(__dirname, '..'))})
const [path, effects, mode] = process.argv.slice(1)

async function main() {
  const engine = await Engine.open(path)
  const does = (what) => (attempt) => {
    appendFileSync(effects, what + ' ' + attempt.idempotencyKey + '\\n')
    if (mode === 'dies' && what === 'ship') process.kill(process.pid, 'SIGKILL')
    return what
  }
  await engine.workflow('order', async (ctx) => {
    const charged = await ctx.step('charge', does('charge'))
    await ctx.sleep('rest', 50)
    const shipped = await ctx.step('ship', does('ship'))
    return [charged, shipped, await ctx.step('mail', does('mail'))]
  })
  if (mode === 'dies') await engine.run('order', { wait: true })
  const [{ id }] = (await engine.executions.list()).items
  for await (const item of engine.executions.watch(id)) void item
  console.log(JSON.stringify((await engine.executions.get(id)).output))
  await engine.close()
}
main()
`

test('a process that is killed goes on in the next', (t) => {
  const path = folder(t)
  const run = (mode) =>
    spawnSync(process.execPath, ['-e', KILLED, join(path, 'data.db'), join(path, 'effects'), mode], {
      encoding: 'utf8',
      timeout: 120_000,
    })
  assert.equal(run('dies').signal, 'SIGKILL')
  const lived = run('lives')
  assert.equal(lived.status, 0, lived.stderr)
  assert.equal(lived.stdout.trim(), '["charge","ship","mail"]')
  const effects = readFileSync(join(path, 'effects'), 'utf8').trim().split('\n')
  // What was recorded was done once; what was being done again, with the same key.
  assert.deepEqual(
    effects.map((line) => line.split(' ')[0]),
    ['charge', 'ship', 'ship', 'mail'],
  )
  assert.equal(effects[1], effects[2])
})

test('the guide says what works', async (t) => {
  const guide = readFileSync(join(__dirname, '..', '..', 'docs', 'guide', 'native.md'), 'utf8')
  const code = guide.split('```js\n')[1].split('```')[0]
  const path = folder(t)
  const own = (name) => (name === 'codex32' ? { Engine: { open: (file) => Engine.open(join(path, file)) } } : null)
  const run = new Function('require', `return (async () => { ${code}; return { engine, started } })()`)
  const { engine, started } = await run(own)
  t.after(() => engine.close())
  const { output } = await ended(engine, started)
  assert.deepEqual([output.receipt.charged, output.parcel], [42, 'P-1'])
})

test('the example of an order ships', () => {
  const example = join(__dirname, '..', '..', 'examples', 'order_node', 'main.js')
  const done = spawnSync(process.execPath, [example, '7'], { encoding: 'utf8' })
  assert.equal(done.status, 0, done.stderr)
  assert.equal(done.stdout.trim(), 'charged 7, shipped as P-1')
})
