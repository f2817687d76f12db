import { defineConfig } from 'vite'

// The server has a strict content security policy: no inline script, no inline
// style, nothing from elsewhere. What is built here keeps to it.
export default defineConfig({
  base: '/',
  build: { outDir: 'dist', emptyOutDir: true, target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: { proxy: { '/api': { target: 'http://127.0.0.1:7832', ws: true } } },
})
