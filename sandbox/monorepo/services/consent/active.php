<?php

declare(strict_types=1);

use function Mo\{json, number};

require __DIR__ . '/lib/app.php';

// Whether consent management works: purposes are defined and a decision could be stored.
$purposes = number('SELECT COUNT(*) FROM purposes WHERE active = 1');
$writable = number("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'decisions'") === 1;
json(['active' => $purposes > 0 && $writable, 'purposes' => $purposes, 'decisions' => number('SELECT COUNT(*) FROM decisions')]);
