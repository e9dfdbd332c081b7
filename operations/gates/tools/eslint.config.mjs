// What ESLint asks of the monorepo's JavaScript and TypeScript, where the monorepo brings no configuration of its own.
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/dist/**', '**/vendor/**', '**/coverage/**'] },
  ...tseslint.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: 'off' } },
);
