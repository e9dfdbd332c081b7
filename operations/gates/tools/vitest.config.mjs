// Runs every *.test.ts of the monorepo, wherever it is, without the services' own Vite plugins.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.{ts,tsx,js,mjs}'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/e2e/**'],
    coverage: { provider: 'v8', reporter: ['lcovonly'], reportOnFailure: true },
  },
});
