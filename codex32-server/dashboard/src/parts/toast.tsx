import { signal } from '@preact/signals'
import { Problem } from '../door'

interface Toast {
  id: number
  kind: 'good' | 'bad'
  text: string
  hint?: string
}

const toasts = signal<Toast[]>([])
let last = 0

function add(toast: Omit<Toast, 'id'>) {
  const id = ++last
  toasts.value = [...toasts.value, { ...toast, id }]
  setTimeout(() => dismiss(id), toast.kind === 'bad' ? 12_000 : 5_000)
}

function dismiss(id: number) {
  toasts.value = toasts.value.filter((toast) => toast.id !== id)
}

/** Says that something went well. */
export function say(text: string) {
  add({ kind: 'good', text })
}

/** Says what went wrong, and what to do. */
export function complain(error: unknown) {
  const text = error instanceof Error ? error.message : String(error)
  add({ kind: 'bad', text, hint: error instanceof Problem ? error.hint : undefined })
}

/** Runs `work` and complains where it fails. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    complain(error)
    return undefined
  }
}

/** What was said lately. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <span>
            {toast.text}
            {toast.hint && <small>{toast.hint}</small>}
          </span>
          <button class="quiet icon" type="button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  )
}
