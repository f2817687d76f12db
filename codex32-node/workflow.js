'use strict'

const { decode } = require('./door.js')
const { Codex32Error, toJson } = require('./errors.js')

/** What a workflow is given. Its calls are answered from the journal when it is run again. */
class Context {
  constructor(workflows, { run, execution, bot, now }) {
    this._workflows = workflows
    this._run = run
    this._now = now
    this._count = 0
    this._open = new Map()
    this._bodies = new Map()
    this.execution = execution
    this.bot = bot
  }

  /** The time in UTC milliseconds, the same whenever the function is run again. */
  now() {
    return this._now
  }

  /** A random id, the same whenever the function is run again. */
  uuid() {
    return decode(this._workflows.native.workflowDraw(this._run)).uuid
  }

  /** A random number from 0 up to 1, the same whenever the function is run again. */
  random() {
    return decode(this._workflows.native.workflowDraw(this._run)).random
  }

  /** Writes a line to the log of the execution, once. */
  log(text) {
    this._workflows.native.workflowLog(this._run, null, String(text))
  }

  /** Calls `body` once and gives its result, also when the function is run again. */
  step(name, options, body) {
    const [{ retry, timeout } = {}, does] = typeof options === 'function' ? [{}, options] : [options, body]
    return this._ask({ name, kind: 'step', retry: policy(retry), timeout_ms: timeout }, does)
  }

  /** Lets a time pass, in milliseconds. */
  sleep(name, ms) {
    return this._ask({ name, kind: 'sleep', ms })
  }

  /** Waits for a time: a `Date`, or UTC milliseconds. */
  sleepUntil(name, time) {
    return this._ask({ name, kind: 'sleep_until', ms: Number(time) })
  }

  /** Waits for what `executions.signal` sends by this name. */
  signal(name, { timeout } = {}) {
    return this._ask({ name, kind: 'signal', timeout_ms: timeout })
  }

  /** Waits for an event on the bus; `where` is CEL over `event`. */
  event(name, { where, timeout } = {}) {
    return this._ask({ name, kind: 'event', filter: where, timeout_ms: timeout })
  }

  /** Runs another bot to its end and gives its output. */
  child(bot, input = {}, { timeout } = {}) {
    return this._ask({ name: bot, kind: 'child', input, timeout_ms: timeout })
  }

  _ask(ask, body) {
    const call = ++this._count
    const promise = new Promise((resolve, reject) => this._open.set(call, { resolve, reject }))
    // One that nobody awaits must not end the process.
    promise.catch(() => {})
    if (body) this._bodies.set(call, body)
    try {
      decode(this._workflows.native.workflowAsk(this._run, call, JSON.stringify(ask)))
    } catch (error) {
      this._told({ call, now: this._now, error })
    }
    return promise
  }

  _told({ call, now, value, error }) {
    const open = this._open.get(call)
    this._open.delete(call)
    this._bodies.delete(call)
    this._now = now
    if (!open) return
    if (error) open.reject(error instanceof Codex32Error ? error : new Codex32Error(error))
    else open.resolve(value)
  }
}

/** The workflows of an engine. The native part calls `receive`. */
class Workflows {
  constructor(native) {
    this.native = native
    this._functions = new Map()
    this._runs = new Map()
    this._attempts = new Map()
    this.receive = (text) => void this._receive(JSON.parse(text))
  }

  async register(spec, run) {
    const key = `${spec.name}@${spec.revision ?? ''}`
    this._functions.set(key, run)
    return decode(await this.native.workflow(JSON.stringify(spec), key, this.receive))
  }

  _receive(message) {
    const done = (ok, value) => this.native.workflowDone(message.id, ok, text(value))
    switch (message.do) {
      case 'begin': {
        const context = new Context(this, message)
        this._runs.set(message.run, context)
        return settled(() => this._functions.get(message.function)(context, message.input), done)
      }
      case 'attempt':
        return this._attempt(message, done)
      case 'settle':
        // Behind all that is promised by now.
        return setImmediate(() => done(true, null))
      case 'tell':
        this._runs.get(message.run)?._told(message)
        break
      case 'stop':
        this._attempts.get(`${message.run}:${message.call}`)?.abort()
        break
      case 'drop':
        this._runs.delete(message.run)
    }
    done(true, null)
  }

  _attempt(message, done) {
    const { run, call, step, number, idempotency_key: idempotencyKey } = message
    const body = this._runs.get(run)?._bodies.get(call)
    if (!body) return done(false, { code: 'cancelled', message: 'the step was not wanted any more' })
    const [place, aborts] = [`${run}:${call}`, new AbortController()]
    this._attempts.set(place, aborts)
    const log = (line) => this.native.workflowLog(run, call, String(line))
    const attempt = { step, number, idempotencyKey, signal: aborts.signal, log }
    return settled(
      () => body(attempt),
      (ok, value) => {
        if (this._attempts.get(place) === aborts) this._attempts.delete(place)
        done(ok, value)
      },
    )
  }
}

/** Calls `done` with what comes of `run`, which may throw or promise. */
async function settled(run, done) {
  try {
    const value = (await run()) ?? null
    text(value)
    done(true, value)
  } catch (error) {
    done(false, toJson(error))
  }
}

function text(value) {
  return JSON.stringify(value) ?? 'null'
}

/** `retry` as the engine reads it. */
function policy(retry) {
  if (retry == null || typeof retry === 'number') return retry ?? undefined
  const { delay, max, ...rest } = retry
  return { ...rest, ...(delay != null && { delay_ms: delay }), ...(max != null && { max_ms: max }) }
}

module.exports = { Workflows, Context }
