<?php

declare(strict_types=1);

namespace Mo\DrushStandIn;

use RuntimeException;
use Throwable;

/**
 * Stand-in for Drush: the commands of a deployment, on a real schema.
 *
 * Updates are SQL files run statement by statement. As with the real one, MariaDB commits every change of a table at once, so that an update that
 * fails leaves what it had done. A line "-- fail: reason" makes an update fail there.
 */
final class Drush
{
    private const ALIASES = ['cr' => 'cache:rebuild', 'updb' => 'updatedb', 'updbst' => 'updatedb:status', 'cvupdb' => 'civicrm:upgrade:db', 'st' => 'status'];

    public function __construct(private readonly string $root)
    {
    }

    /**
     * Runs one command line; the exit code.
     *
     * @param list<string> $arguments
     */
    public function run(array $arguments): int
    {
        $words = array_values(array_filter($arguments, static fn (string $a): bool => !str_starts_with($a, '-')));
        $command = self::ALIASES[$words[0] ?? ''] ?? $words[0] ?? '';
        try {
            require_once $this->root . '/lib/app.php';
            return match ($command) {
                'cache:rebuild' => $this->rebuild(),
                'updatedb' => $this->update(array_intersect(['-y', '--yes'], $arguments) !== []),
                'updatedb:status' => $this->pending(),
                'civicrm:upgrade:db' => $this->upgrade(),
                'status' => $this->status(),
                default => $this->say('error', $command === '' ? 'No command is given.' : "Command \"$command\" is not defined.", 1),
            };
        } catch (Throwable $error) {
            return $this->say('error', $error->getMessage(), 1);
        }
    }

    private function rebuild(): int
    {
        \Mo\database()->exec('CREATE TABLE IF NOT EXISTS cache_bootstrap (cid VARCHAR(255) NOT NULL PRIMARY KEY, data LONGBLOB NULL) ENGINE=InnoDB');
        \Mo\database()->exec('DELETE FROM cache_bootstrap');
        return $this->say('success', 'Cache rebuild complete.');
    }

    private function update(bool $sure): int
    {
        \Mo\database()->exec("CREATE TABLE IF NOT EXISTS key_value (collection VARCHAR(128) NOT NULL, name VARCHAR(128) NOT NULL, value LONGBLOB NOT NULL, PRIMARY KEY (collection, name)) ENGINE=InnoDB");
        $done = 0;
        foreach ($this->updates() as $file => [$module, $number]) {
            if (!$sure) {
                return $this->say('warning', "$module has pending updates; run it with -y.", 1);
            }
            $this->say('notice', "Update started: {$module}_update_$number");
            if (preg_match('/^--\s*error:\s*(.*)$/m', (string) file_get_contents($file), $reason) === 1) {
                // As Drush does in several versions (drush-ops/drush#5306): the error is printed, and the command ends well.
                $this->say('error', trim($reason[1]));
                return $this->say('error', "Update failed: {$module}_update_$number");
            }
            $this->statements($file);
            \Mo\change("REPLACE INTO key_value (collection, name, value) VALUES ('system.schema', ?, ?)", [$module, (string) $number]);
            $done++;
        }
        return $this->say('success', $done === 0 ? 'No pending updates.' : 'Finished performing updates.');
    }

    /** What `updatedb` would run: nothing on standard output where it would run nothing. */
    private function pending(): int
    {
        $updates = $this->updates();
        foreach ($updates as [$module, $number]) {
            echo "{$module}_update_$number\n";
        }
        return $updates === [] ? $this->say('success', 'No database updates required.') : 0;
    }

    /**
     * The pending updates, each file with its module and number.
     *
     * @return array<string, array{string, int}>
     */
    private function updates(): array
    {
        $found = [];
        foreach (glob($this->root . '/modules/custom/*/updates/*.sql') ?: [] as $file) {
            $module = basename(dirname($file, 2));
            $number = (int) basename($file, '.sql');
            if ($number > \Mo\number("SELECT value FROM key_value WHERE collection = 'system.schema' AND name = ?", [$module])) {
                $found[$file] = [$module, $number];
            }
        }
        return $found;
    }

    private function upgrade(): int
    {
        $database = \Mo\database();
        $database->exec('CREATE TABLE IF NOT EXISTS civicrm_domain (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL, version VARCHAR(32) NOT NULL) ENGINE=InnoDB');
        $database->exec("INSERT INTO civicrm_domain (id, name, version) SELECT 1, 'Menschlichkeit Österreich', '0' FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM civicrm_domain)");
        $installed = $this->version();
        $code = $this->code();
        if (version_compare($installed, $code, '>')) {
            return $this->say('error', "The database is of version $installed, newer than the code's $code.", 1);
        }
        foreach ($this->upgrades($installed, $code) as $version => $file) {
            $this->say('notice', "Upgrade DB to $version");
            $this->statements($file);
            \Mo\change('UPDATE civicrm_domain SET version = ?', [$version]);
        }
        \Mo\change('UPDATE civicrm_domain SET version = ?', [$code]);
        return $this->say('success', $installed === $code ? "You are already upgraded to CiviCRM $code" : "Upgraded CiviCRM from $installed to $code");
    }

    private function status(): int
    {
        echo "Drush version : stand-in\nCiviCRM code  : ", $this->code(), "\nCiviCRM data  : ", $this->version(), "\nDB name       : ", \Mo\setting('DB_NAME'), "\n";
        return 0;
    }

    private function version(): string
    {
        return (string) (\Mo\rows('SELECT version FROM civicrm_domain ORDER BY id LIMIT 1')[0]['version'] ?? '0');
    }

    private function code(): string
    {
        $xml = (string) file_get_contents($this->root . '/vendor/civicrm/civicrm-core/xml/version.xml');
        if (preg_match('~<version_no>\s*([0-9.]+)\s*</version_no>~', $xml, $found) !== 1) {
            throw new RuntimeException('CiviCRM has no xml/version.xml.');
        }
        return $found[1];
    }

    /**
     * The upgrade files above the installed version, up to the code's, oldest first.
     *
     * @return array<string, string>
     */
    private function upgrades(string $installed, string $code): array
    {
        $found = [];
        foreach (glob($this->root . '/vendor/civicrm/civicrm-core/sql/upgrade/*.sql') ?: [] as $file) {
            $version = basename($file, '.sql');
            if (version_compare($version, $installed, '>') && version_compare($version, $code, '<=')) {
                $found[$version] = $file;
            }
        }
        uksort($found, 'version_compare');
        return $found;
    }

    private function statements(string $file): void
    {
        $database = \Mo\database();
        $statement = '';
        foreach (file($file) ?: [] as $line) {
            if (preg_match('/^--\s*fail:\s*(.*)$/', $line, $reason) === 1) {
                throw new RuntimeException(basename($file) . ': ' . trim($reason[1]));
            }
            if (str_starts_with($line, '--')) {
                continue;
            }
            $statement .= $line;
            if (str_ends_with(rtrim($line), ';')) {
                $database->exec($statement);
                $statement = '';
            }
        }
    }

    private function say(string $level, string $text, int $code = 0): int
    {
        fwrite(STDERR, " [$level] $text\n");
        return $code;
    }
}
