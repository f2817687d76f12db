// One WebSocket carries every call and every stream of the page. When it breaks it
// is opened again, and streams go on after the last item that was seen.

import type { Door } from './operations'

/** What the engine refused or failed at. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint?: string,
  ) {
    super(message)
  }
}

interface Message {
  id?: number
  output?: unknown
  item?: unknown
  end?: unknown
  error?: { code: string; detail: string; hint?: string }
  ready?: boolean
}

type Listener = (message: Message | null) => void

const LONGEST_PAUSE = 10_000

export class SocketDoor implements Door {
  private socket: Promise<WebSocket> | null = null
  private listeners = new Map<number, Listener>()
  private last = 0
  private pause = 250

  constructor(private readonly onRefused: () => void) {}

  async call(name: string, input: object): Promise<any> {
    const id = ++this.last
    const socket = await this.connect()
    return new Promise((resolve, reject) => {
      this.listeners.set(id, (message) => {
        this.listeners.delete(id)
        if (message === null) reject(new Problem('unavailable', 'the connection broke', 'try again'))
        else if (message.error) reject(problem(message.error))
        else resolve(message.output)
      })
      socket.send(JSON.stringify({ id, op: name, input: given(input) }))
    })
  }

  async *stream(name: string, input: object): AsyncIterableIterator<any> {
    let after: unknown
    for (;;) {
      const resumed = after === undefined ? input : { ...input, after }
      for await (const message of this.once(name, resumed)) {
        if (message === null) break
        if (message.error) throw problem(message.error)
        if ('end' in message) return
        after = (message.item as { seq?: number }).seq ?? after
        yield message.item
      }
      await sleep(this.pause)
    }
  }

  /** The messages of one subscription on one connection; `null` where it broke. */
  private async *once(name: string, input: object): AsyncGenerator<Message | null> {
    const id = ++this.last
    let socket: WebSocket
    try {
      socket = await this.connect()
    } catch (error) {
      if (error instanceof Problem && error.code === 'unauthenticated') throw error
      yield null
      return
    }
    const waiting: Array<Message | null> = []
    let wake = () => {}
    let done = false
    this.listeners.set(id, (message) => {
      waiting.push(message)
      wake()
    })
    socket.send(JSON.stringify({ id, op: name, input: given(input) }))
    try {
      while (!done) {
        while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve))
        const message = waiting.shift() ?? null
        done = message === null || 'end' in message || message.error !== undefined
        yield message
      }
    } finally {
      this.listeners.delete(id)
      if (!done && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ id, cancel: true }))
    }
  }

  private connect(): Promise<WebSocket> {
    this.socket ??= this.dial().catch((error) => {
      this.socket = null
      throw error
    })
    return this.socket
  }

  private dial(): Promise<WebSocket> {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const socket = new WebSocket(`${scheme}://${location.host}/api/ws`)
    return new Promise((resolve, reject) => {
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data) as Message
        if (message.ready) {
          this.pause = 250
          resolve(socket)
        } else if (message.id !== undefined) {
          this.listeners.get(message.id)?.(message)
        }
      }
      socket.onclose = () => {
        this.socket = null
        this.pause = Math.min(this.pause * 2, LONGEST_PAUSE)
        const left = [...this.listeners.values()]
        this.listeners.clear()
        left.forEach((listener) => listener(null))
        reject(new Problem('unavailable', 'the server cannot be reached', 'is it still running?'))
        void this.lookWhetherRefused()
      }
    })
  }

  // A browser does not tell a page why a WebSocket was refused; a plain request does.
  private async lookWhetherRefused() {
    try {
      const answer = await fetch('/api/v1/auth/whoami')
      if (answer.status === 401) this.onRefused()
    } catch {
      // Not reached at all: the next call tries again.
    }
  }
}

function problem(error: { code: string; detail: string; hint?: string }): Problem {
  return new Problem(error.code, error.detail, error.hint)
}

/** The input without what was left out. */
function given(input: object): object {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
