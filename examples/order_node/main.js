'use strict'
// A function as a durable workflow: it charges once, waits without costing anything, ships.
//
//   node examples/order_node/main.js 42
//
// Were the program killed at any point, the next start would go on behind the last
// recorded step. In a program of your own it is require('codex32').

const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { Engine } = require('../../codex32-node')

async function main(amount) {
  const folder = mkdtempSync(join(tmpdir(), 'codex32-order-'))
  const engine = await Engine.open(join(folder, 'data.db'))
  await engine.workflow('order', async (ctx, input) => {
    // The key is the same for every attempt, so that whoever is paid charges once.
    const charge = async ({ idempotencyKey }) => ({ amount: input.amount, key: idempotencyKey })
    const receipt = await ctx.step('charge', { retry: 3 }, charge)
    const parcel = await ctx.signal('parcel', { timeout: 7 * 24 * 3600 * 1000 })
    return `charged ${receipt.amount}, shipped as ${parcel}`
  })
  const started = await engine.run('order', { input: { amount } })
  await engine.executions.signal(started.id, 'parcel', { payload: 'P-1' })
  for await (const item of engine.executions.watch(started.id)) void item
  console.log((await engine.executions.get(started.id)).output)
  await engine.close()
  rmSync(folder, { recursive: true })
}

main(Number(process.argv[2] ?? 42))
