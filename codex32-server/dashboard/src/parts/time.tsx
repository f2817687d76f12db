import { signal } from '@preact/signals'

const now = signal(Date.now())
setInterval(() => (now.value = Date.now()), 10_000)

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const UNITS: Array<[Intl.RelativeTimeFormatUnit, number]> = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
]

function words(ms: number): string {
  // The signal says when to look again; between its ticks what has just happened is past.
  const distance = ms - Math.max(now.value, Date.now())
  const [unit, size] = UNITS.find(([, size]) => Math.abs(distance) >= size) ?? ['second', 1_000]
  return relative.format(Math.round(distance / size), unit)
}

/** A time in words, its exact value beside. */
export function Time({ ms }: { ms: number | null | undefined }) {
  if (ms == null) return null
  const date = new Date(ms)
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()}>
      {words(ms)}
    </time>
  )
}

/** How long something took. */
export function took(ms: number | null | undefined): string {
  if (ms == null) return ''
  if (ms < 1_000) return `${ms} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`
}
