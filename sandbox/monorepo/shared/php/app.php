<?php

declare(strict_types=1);

namespace Mo;

use PDO;
use PDOException;
use Throwable;

require_once __DIR__ . '/form.php';
require_once __DIR__ . '/page.php';

/** The release's own folder, symbolic links resolved. */
function root(): string
{
    return dirname((string) realpath(__DIR__));
}

/** Where secrets.env is: two folders above the release; where a release is deployed in place, in .deploy/<service> of a folder above. */
function secrets(): string
{
    $place = dirname(root(), 2) . '/secrets.env';
    $service = release()['service'] ?? null;
    for ($above = root(); is_string($service) && !@is_file($place) && $above !== dirname($above);) {
        $above = dirname($above);
        $place = "$above/.deploy/$service/secrets.env";
    }
    return $place;
}

/**
 * Settings from secrets.env: lines NAME='value', with ' inside written as '\''.
 *
 * @return array<string, string>
 */
function settings(): array
{
    static $known = null;
    if ($known === null) {
        $text = (string) @file_get_contents(secrets());
        preg_match_all("/^([A-Z][A-Z0-9_]*)='([^']*+(?:'\\\\''[^']*+)*+)'$/m", $text, $lines, PREG_SET_ORDER);
        $known = [];
        foreach ($lines as [, $name, $value]) {
            $known[$name] = str_replace("'\\''", "'", $value);
        }
    }
    return $known;
}

/** One setting; an app without a default for it fails and says which one is missing. */
function setting(string $name, ?string $default = null): string
{
    $value = settings()[$name] ?? $default;
    if ($value === null) {
        throw new \RuntimeException("secrets.env has no $name");
    }
    return $value;
}

/** The app's database, connected once, errors as exceptions. */
function database(): PDO
{
    static $connection = null;
    if (!$connection instanceof PDO) {
        $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC, PDO::ATTR_EMULATE_PREPARES => false, PDO::ATTR_TIMEOUT => 5];
        if ((settings()['DB_SSL_CA'] ?? '') !== '') {
            $options[PDO::MYSQL_ATTR_SSL_CA] = setting('DB_SSL_CA');
        }
        $place = sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', setting('DB_HOST'), setting('DB_PORT'), setting('DB_NAME'));
        $connection = new PDO($place, setting('DB_USER'), setting('DB_PASS'), $options);
    }
    return $connection;
}

/**
 * All rows of a query.
 *
 * @param array<int|string, int|string|null> $values
 * @return list<array<string, int|string|null>>
 */
function rows(string $sql, array $values = []): array
{
    $statement = database()->prepare($sql);
    $statement->execute($values);
    return array_values($statement->fetchAll());
}

/**
 * One number: the first column of the first row.
 *
 * @param array<int|string, int|string|null> $values
 */
function number(string $sql, array $values = []): int
{
    $row = rows($sql, $values)[0] ?? [];
    return (int) (array_values($row)[0] ?? 0);
}

/**
 * Changes data; the number of rows that changed.
 *
 * @param array<int|string, int|string|null> $values
 */
function change(string $sql, array $values): int
{
    $statement = database()->prepare($sql);
    $statement->execute($values);
    return $statement->rowCount();
}

/** Whether an error is a second entry where only one may be. */
function is_duplicate(PDOException $error): bool
{
    return ($error->errorInfo[1] ?? 0) === 1062;
}

/** Ends a request with JSON. */
function json(mixed $value, int $status = 200): never
{
    http_response_code($status);
    header('Content-Type: application/json; charset=utf-8');
    header('Cache-Control: no-store');
    echo json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
    exit;
}

// Nothing of an error reaches the visitor but that there is one; the log has the rest.
set_exception_handler(static function (Throwable $error): void {
    error_log(sprintf('%s: %s in %s:%d', $error::class, $error->getMessage(), $error->getFile(), $error->getLine()));
    page('Störung', 'Die Seite ist gerade nicht verfügbar.', '<p class="note bad">Bitte versuchen Sie es in einigen Minuten wieder.</p>', null, $error instanceof PDOException ? 503 : 500);
});
