import { effect, signal } from '@preact/signals'

type Choice = 'system' | 'light' | 'dark'

const KEY = 'codex32-theme'
const choice = signal<Choice>((localStorage.getItem(KEY) as Choice | null) ?? 'system')

effect(() => {
  localStorage.setItem(KEY, choice.value)
  const root = document.documentElement
  if (choice.value === 'system') root.removeAttribute('data-theme')
  else root.setAttribute('data-theme', choice.value)
})

const NEXT: Record<Choice, Choice> = { system: 'light', light: 'dark', dark: 'system' }
const SIGN: Record<Choice, string> = { system: '◐', light: '☀', dark: '☾' }

/** Goes round between the system's colours, light and dark. */
export function Theme() {
  return (
    <button
      class="quiet icon"
      type="button"
      title={`Colours: ${choice.value}`}
      aria-label={`Colours: ${choice.value}. Change`}
      onClick={() => (choice.value = NEXT[choice.value])}
    >
      {SIGN[choice.value]}
    </button>
  )
}
