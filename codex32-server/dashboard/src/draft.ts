// The draft of a sentence while it is typed: by the very code of the server, compiled
// for the browser, and by the server for what only it knows (names, addresses).

import type { DraftContext } from '../../../codex32-node/wasm/codex32.js'
import type { DraftOutput } from './operations'
import { engine } from './session'

/** What the browser can tell at once. */
export interface Glimpse {
  blueprint?: string | null
  explanation: string
  assumptions: string[]
  questions: DraftOutput['questions']
  not_understood: string[]
}

type Ground = typeof import('../../../codex32-node/wasm/codex32.js')

let ground: Promise<Ground | null> | undefined

function load(): Promise<Ground | null> {
  ground ??= import('../../../codex32-node/wasm/codex32.js')
    .then(async (module) => {
      await module.default()
      return module
    })
    .catch(() => null)
  return ground
}

/** A first draft without asking the server; nothing where the browser cannot do it. */
export async function glimpse(text: string, context: DraftContext): Promise<Glimpse | null> {
  const code = await load()
  if (!code) return null
  try {
    return code.draft(text, context)
  } catch {
    return null
  }
}

/** The draft that would be made. */
export function draft(text: string, answers: Record<string, string>): Promise<DraftOutput> {
  return engine.builder.draft(text, { answers })
}
