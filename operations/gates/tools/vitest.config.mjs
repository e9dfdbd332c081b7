// Runs every *.test.ts of the monorepo, wherever it is, without the services' own Vite plugins.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '.vite', // not among the tools, which all clones share
  test: {
    include: ['**/*.test.{ts,tsx,js,mjs}'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/e2e/**'],
    coverage: { provider: 'v8', reporter: ['lcovonly'], reportOnFailure: true },
  },
});
