'use strict'

const native = require('./codex32.node')
const { Door, rethrow } = require('./door.js')
const { Codex32Error, errorOf, toJson } = require('./errors.js')
const { Operations } = require('./operations.js')
const { Workflows } = require('./workflow.js')

/** An engine in this process. */
class Engine extends Operations {
  /**
   * Opens the engine over a file (`data.db`), a folder or a `postgres://` URL. Its
   * background work starts at the first call, unless `start` is false; actions that
   * are registered before are known by then.
   */
  static async open(target, { start = true } = {}) {
    return new Engine(new Door(await native.open(String(target)).catch(rethrow), start))
  }

  /**
   * Makes a function an action that bots use: `use: native.NAME`, or `FAMILY.NAME`.
   * It is given the input and the context; what it throws fails the step.
   */
  action(name, options, handler) {
    const [spec, run] = typeof options === 'function' ? [{}, options] : [options, handler]
    const call = async (text) => {
      try {
        const { input, context } = JSON.parse(text)
        return JSON.stringify({ ok: true, value: (await run(input, context)) ?? null })
      } catch (error) {
        return JSON.stringify({ ok: false, value: toJson(error) })
      }
    }
    try {
      this._door.native.register(JSON.stringify({ name, ...spec }), call)
    } catch (error) {
      throw errorOf(error.message)
    }
    return run
  }

  /**
   * Makes a function a bot whose executions are durable. It is given a context and the
   * input; what it does by `ctx.step`, `ctx.sleep`, `ctx.signal`, `ctx.event` and
   * `ctx.child` is recorded, and answered from the journal when the function is run again
   * after a wait or a crash. Gives the number of the bot's version.
   */
  workflow(name, options, handler) {
    const [spec, run] = typeof options === 'function' ? [{}, options] : [options, handler]
    this._workflows ??= new Workflows(this._door.native)
    return this._door.before(this._workflows.register({ name, ...spec }, run))
  }

  /** Starts the background work now. */
  async start() {
    this._door.pending = true
    await this._door.ready()
  }

  /** Lets what runs come to a safe end. */
  async close() {
    await this._door.native.close()
  }
}

/** The operations of the server at `url`. */
function connect(url, { token } = {}) {
  try {
    return new Operations(new Door(native.connect(url, token), false))
  } catch (error) {
    throw errorOf(error.message)
  }
}

module.exports = { Engine, connect, Operations, Codex32Error }
