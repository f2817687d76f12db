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

export const far = connect('http://127.0.0.1:7832', { token: 'c32_x' })
