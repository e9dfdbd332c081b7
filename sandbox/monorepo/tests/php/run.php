<?php

declare(strict_types=1);

// Tests of shared/php without a framework: `php tests/php/run.php [junit.xml]`. Exit code 0: every one passed, and there was at least one.

use function Mo\{email, field, h, items, root, setting, settings};

// An app as the host has it: <service>/releases/<id>/lib and <service>/secrets.env.
$service = sys_get_temp_dir() . '/mo-php-' . bin2hex(random_bytes(6));
mkdir("$service/releases/r1/lib", 0o700, true);
foreach (glob(dirname(__DIR__, 2) . '/shared/php/*.php') ?: [] as $file) {
    copy($file, "$service/releases/r1/lib/" . basename($file));
}
file_put_contents("$service/releases/r1/release.json", '{"service":"votes","release":"r1","commit":null}');
file_put_contents("$service/secrets.env", "A='plain'\nB='it'\\''s \$HOME \\n \"q\"'\nC=''\nD='two\nlines'\nbroken='x'\nE=unquoted\nF='open\n");
require "$service/releases/r1/lib/app.php";

$tests = [
    'settings keep every character' => static fn (): bool => settings() === ['A' => 'plain', 'B' => "it's \$HOME \\n \"q\"", 'C' => '', 'D' => "two\nlines"],
    'a missing setting is named' => static function (): bool {
        try {
            setting('NOTHING');
        } catch (RuntimeException $error) {
            return $error->getMessage() === 'secrets.env has no NOTHING';
        }
        return false;
    },
    'a missing setting with a default has it' => static fn (): bool => setting('NOTHING', 'x') === 'x',
    'the release is found beside the code' => static fn (): bool => root() === realpath("$service/releases/r1") && Mo\release()['release'] === 'r1',
    'in place, the secrets are found in .deploy of a folder above' => static function () use ($service): bool {
        mkdir("$service/www/votes/httpdocs/lib", 0o700, true);
        mkdir("$service/.deploy/votes", 0o700, true);
        copy("$service/releases/r1/lib/app.php", "$service/www/votes/httpdocs/lib/app.php");
        foreach (['form', 'page'] as $part) {
            copy("$service/releases/r1/lib/$part.php", "$service/www/votes/httpdocs/lib/$part.php");
        }
        copy("$service/releases/r1/release.json", "$service/www/votes/httpdocs/release.json");
        file_put_contents("$service/.deploy/votes/secrets.env", "A='in place'\n");
        $told = shell_exec(PHP_BINARY . ' -r ' . escapeshellarg("require '$service/www/votes/httpdocs/lib/app.php'; echo Mo\\setting('A');"));
        return $told === 'in place';
    },
    'text is made safe for HTML' => static fn (): bool => h("<a href='x'>\"&\xff") === "&lt;a href=&apos;x&apos;&gt;&quot;&amp;\u{fffd}" && h(7) === '7' && h(null) === '',
    'a field is trimmed and limited' => static function (): bool {
        $_POST = ['a' => ' ä ', 'b' => str_repeat('ä', 5), 'c' => '  ', 'd' => ['x'], 'e' => "\xff"];
        return [field('a'), field('b', 5), field('b', 4), field('c'), field('d'), field('e'), field('f')] === ['ä', 'äääää', null, null, null, null, null];
    },
    'only an address is an e-mail address' => static function (): bool {
        $_POST = ['email' => ' Ada@Example.org ', 'bad' => "a@b.example\r\nBcc: x@y.example", 'none' => 'ada'];
        return [email(), email('bad'), email('none'), email('missing')] === ['ada@example.org', null, null, null];
    },
    'an empty list says so' => static fn (): bool => items([]) === '<p>Noch nichts.</p>' && items(['a']) === '<ul class="items"><li>a</li></ul>',
];

$cases = '';
$failed = 0;
foreach ($tests as $name => $test) {
    $started = microtime(true);
    try {
        $passed = $test();
        $why = 'is not so';
    } catch (Throwable $error) {
        $passed = false;
        $why = $error->getMessage();
    }
    $failed += $passed ? 0 : 1;
    echo $passed ? 'ok     ' : 'FAILED ', $name, $passed ? '' : ": $why", "\n";
    $failure = $passed ? '' : '<failure message="' . h($why) . '"/>';
    $cases .= sprintf('<testcase classname="shared.php" name="%s" time="%.4f">%s</testcase>', h($name), microtime(true) - $started, $failure);
}
if (isset($argv[1])) {
    $counts = sprintf('tests="%d" failures="%d" errors="0" skipped="0"', count($tests), $failed);
    file_put_contents($argv[1], "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites><testsuite name=\"shared/php\" $counts>$cases</testsuite></testsuites>\n");
}
foreach (array_reverse(iterator_to_array(new RecursiveIteratorIterator(new RecursiveDirectoryIterator($service, FilesystemIterator::SKIP_DOTS), RecursiveIteratorIterator::SELF_FIRST))) as $item) {
    $item->isDir() ? rmdir($item->getPathname()) : unlink($item->getPathname());
}
rmdir($service);
exit($failed === 0 && $tests !== [] ? 0 : 1);
