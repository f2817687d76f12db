const SIGNS: Record<string, string> = {
  succeeded: '✓',
  failed: '✗',
  cancelled: '⊘',
  running: '●',
  held: '◌',
  queued: '○',
  waiting: '⏳',
  paused: '❚❚',
  retrying: '↻',
  skipped: '–',
  deployed: '●',
  stopped: '○',
  healthy: '●',
  unhealthy: '▲',
}

/** Where something stands, by word, sign and colour. */
export function State({ value }: { value: string }) {
  return (
    <span class={`state ${value}`}>
      <span aria-hidden="true">{SIGNS[value] ?? '○'}</span> {value.replaceAll('_', ' ')}
    </span>
  )
}
