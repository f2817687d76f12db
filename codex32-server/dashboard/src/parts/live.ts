import { useEffect, useState } from 'preact/hooks'
import { engine } from '../session'
import { complain } from './toast'

/**
 * What `load` gives, loaded again whenever something happens in the workspace that
 * `matters`, and when `keys` change.
 */
export function useLive<T>(load: () => Promise<T>, matters: (event: string) => boolean, keys: unknown[]): T | undefined {
  const [value, setValue] = useState<T>()
  useEffect(() => {
    let alive = true
    let loading = false
    let again = false
    const refresh = async () => {
      if (loading) {
        again = true
        return
      }
      loading = true
      try {
        do {
          again = false
          const loaded = await load()
          if (alive) setValue(loaded)
        } while (again && alive)
      } catch (error) {
        if (alive) complain(error)
      } finally {
        loading = false
      }
    }
    void refresh()
    listeners.add(listen)
    follow()
    function listen(event: string) {
      if (matters(event)) void refresh()
    }
    return () => {
      alive = false
      listeners.delete(listen)
    }
  }, keys)
  return value
}

const listeners = new Set<(event: string) => void>()
let following = false

/** One subscription to the workspace's events serves the whole page. */
function follow() {
  if (following) return
  following = true
  void (async () => {
    try {
      for await (const event of engine.system.events()) listeners.forEach((listener) => listener(event.name))
    } catch {
      // Signed out or refused; the next view that needs it asks again.
    } finally {
      following = false
    }
  })()
}
