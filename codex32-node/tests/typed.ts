// Checked by tsc, not run: the package's types say what a reader of the docs expects.

import { connect, Engine, type BotRow } from '../index.js'

export async function names(path: string): Promise<string[]> {
  const engine = await Engine.open(path)
  const made = await engine.make('every hour check https://example.org and tell me on telegram if it is down')
  const number: number = made.version.number
  for await (const item of engine.executions.watch('00000000-0000-0000-0000-000000000000', { after: number })) {
    const kind: string = item.kind
    console.log(kind)
  }
  const rows: BotRow[] = (await engine.bots.list({ limit: 5 })).items
  return rows.map((row) => row.name)
}

export async function workflows(engine: Engine): Promise<void> {
  const version: number = await engine.workflow('order', { revision: '2' }, async (ctx, input) => {
    const key: string = await ctx.step('charge', { retry: 3, timeout: 1000 }, (attempt) => attempt.idempotencyKey)
    await ctx.sleep('rest', 1000)
    const paid: boolean = await ctx.signal('paid')
    return { key, paid, amount: input.amount, at: ctx.now() }
  })
  console.log(version)
}

export const far = connect('http://127.0.0.1:7832', { token: 'c32_x' })
