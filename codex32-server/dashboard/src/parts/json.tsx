/** JSON for people: short values in a line, longer ones folded. */
export function Json({ value, label }: { value: unknown; label: string }) {
  if (value === undefined || value === null) return null
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2)
  if (text.length <= 80 && !text.includes('\n')) return <code class="value">{text}</code>
  return (
    <details>
      <summary>{label}</summary>
      <pre>{text}</pre>
    </details>
  )
}
