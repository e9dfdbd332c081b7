<?php
// Tells which release PHP runs. The deployment puts one copy, with a random name, into the new and into the former release while it makes
// one of them live, and takes both away again. It is cached, and goes stale, as the site's own pages do. It answers only who knows its token,
// and after its time to nobody. docs/host-protocol.md, A release is live when its code answers.
$canary = static function (): void {
    header('Cache-Control: no-store');
    header('Content-Type: application/json');
    $token = $_SERVER['HTTP_X_MO_CANARY'] ?? '';
    $late = time() > (int) '@UNTIL@';
    if ($late || !is_string($token) || !hash_equals('@DIGEST@', hash('sha256', $token))) {
        if ($late) {
            @unlink(__FILE__);
        }
        http_response_code(404);
        return;
    }
    $on = extension_loaded('Zend OPcache') && filter_var(ini_get('opcache.enable'), FILTER_VALIDATE_BOOLEAN);
    $only = (string) ini_get('opcache.restrict_api');
    $may = $on && ($only === '' || str_starts_with(__FILE__, $only));
    $status = $may && function_exists('opcache_get_status') ? @opcache_get_status(false) : false;
    $cleared = [];
    if (($_SERVER['HTTP_X_MO_CLEAR'] ?? '') === '1') {
        if (function_exists('clearstatcache')) {
            clearstatcache(true);
            $cleared[] = 'realpath';
        }
        if ($may && function_exists('opcache_reset') && @opcache_reset()) {
            $cleared[] = 'opcache';
        }
    }
    usleep(1000 * min(200, max(0, (int) ($_SERVER['HTTP_X_MO_HOLD'] ?? 0))));
    echo json_encode([
        'release' => '@RELEASE@',
        'pid' => getmypid(),
        'php' => PHP_VERSION,
        'sapi' => PHP_SAPI,
        'realpath_ttl' => (int) ini_get('realpath_cache_ttl'),
        'opcache' => $on,
        'timestamps' => filter_var(ini_get('opcache.validate_timestamps'), FILTER_VALIDATE_BOOLEAN),
        'reset' => $may && function_exists('opcache_reset'),
        'restarts' => is_array($status) ? $status['opcache_statistics']['manual_restarts'] ?? null : null,
        'pending' => is_array($status) && ($status['restart_pending'] || $status['restart_in_progress']),
        'cleared' => $cleared,
    ]);
};
$canary();
