"""What becomes of each option of uWSGI 2.0.31: emulated, not run here, or without effect on spoolers.

The three sets divide the names of `uwsgi --help`, which tests/oracle holds against the real one. What only a build with
PCRE has stands in sets of its own, and is in the three.
Emulated is what `spoolsim.options.OPTIONS` holds and, here, what needs no field: the logic of configurations, and
what is always so in spoolsim. Imported only when a name is not in OPTIONS.
"""

from __future__ import annotations

# Followed while a configuration is read; or always so: threads run, there is one interpreter, forks run Python's hooks.
_ALWAYS = """
for for-glob for-times for-readline endfor end-for if-opt if-not-opt if-env if-not-env ifenv if-reload if-not-reload
if-hostname if-not-hostname if-exists if-not-exists ifexists if-plugin if-not-plugin ifplugin if-file if-not-file
if-dir if-not-dir ifdir if-directory endif end-if enable-threads single-interpreter py-call-osafterfork
py-call-uwsgi-fork-hooks
"""

# These act on spoolers, on what they load, or beside them, and spoolsim does nothing for them: a run names them.
_NOT_RUN = """
mule-harakiri config fallback-config skip-atexit skip-atexit-teardown get declare-option declare-option2 resolve
blacklist end-blacklist whitelist end-whitelist inject-before inject-after daemonize daemonize2 stop reload pause
suspend resume connect-and-read extract profiler procname-prefix-spaced procname-append procname procname-master
honour-stdin emperor early-emperor emperor-magic-exec imperial-monitor-list imperial-monitors-list
vassals-start-hook vassals-stop-hook exit-on-reload help usage print-sym print-symbol sharedarea cache-store
cache-store-sync cache-no-expire cache-udp-server cache-udp-node cache-sync cache-use-last-modified add-cache-item
load-file-in-cache load-file-in-cache-gzip queue queue-blocksize queue-store queue-store-sync mule mules farm
mule-msg-size signal signal-timer timer signal-rbtimer rbtimer flock flock-wait flock2 flock-wait2 chroot pivot-root
pivot_root add-gid immediate-uid immediate-gid unshare unshare2 setns jailed refork re-fork refork-as-root
re-fork-as-root refork-post-jail re-fork-post-jail hook-asap hook-pre-jail hook-post-jail hook-in-jail hook-as-root
hook-as-user hook-as-user-atexit hook-pre-app hook-post-app hook-post-fork hook-accepting hook-accepting1
hook-accepting-once hook-accepting1-once hook-master-start hook-touch hook-emperor-start hook-emperor-stop
hook-emperor-reload hook-emperor-lost hook-as-vassal hook-as-emperor hook-as-mule hook-as-gateway exec-asap
exec-pre-jail exec-post-jail exec-in-jail exec-as-root exec-as-user exec-as-user-atexit exec-pre-app exec-post-app
exec-as-vassal exec-as-emperor mount-asap mount-pre-jail mount-post-jail mount-in-jail mount-as-root mount-as-vassal
mount-as-emperor umount-asap umount-pre-jail umount-post-jail umount-in-jail umount-as-root umount-as-vassal
umount-as-emperor wait-for-interface wait-for-interface-timeout wait-interface wait-interface-timeout wait-for-iface
wait-for-iface-timeout wait-iface wait-iface-timeout wait-for-fs wait-for-file wait-for-dir wait-for-mountpoint
wait-for-fs-timeout wait-for-socket wait-for-socket-timeout call-asap call-pre-jail call-post-jail call-in-jail
call-as-root call-as-user call-as-user-atexit call-pre-app call-post-app call-as-vassal call-as-vassal1
call-as-vassal3 call-as-emperor call-as-emperor1 call-as-emperor2 call-as-emperor4 no-server command-mode
limit-nproc reload-on-fd brutal-reload-on-fd ksm never-swap touch-exec touch-signal fs-reload fs-brutal-reload
fs-signal check-mountpoint mountpoint-check check-mount mount-check prio metric-threshold metric-alarm alarm-metric
metrics-dir-restore metric-dir-restore stats-minified stats-min master-fifo legion-lord legion-unlord legion-setup
legion-death legion-join legion-node-joined legion-node-left check-interval privileged-binary-patch
unprivileged-binary-patch privileged-binary-patch-arg unprivileged-binary-patch-arg logger-list loggers-list alarm
alarm-segfault segfault-alarm alarm-list alarms-list cheaper-algo-list cheaper-algos-list cheaper-list die-on-idle
clock-list clocks-list mode file-write cgroup cgroup-opt cgroup-dir-mode namespace namespace-keep-mount ns
namespace-net ns-net zerg cron cron2 unique-cron cron-harakiri legion-cron cron-legion unique-legion-cron
unique-cron-legion loop-list loops-list worker-exec worker-exec2 attach-daemon attach-control-daemon
smart-attach-daemon smart-attach-daemon2 legion-attach-daemon legion-smart-attach-daemon legion-smart-attach-daemon2
daemons-honour-stdin attach-daemon2 plugins-list plugin-list dlopen dump-options show-config binary-append-data
print iprint exit cflags dot-h config-py build-plugin version test py-programname py-program-name pecan web3 pump
wsgi-lite no-site pyshell pyshell-oneshot py-tracebacker py-auto-reload-ignore python-version python-raw
py-sharedarea python-worker-override py-executable py-sys-executable symcall-post-fork gevent-monkey-patch
gevent-early-monkey-patch
"""

# These concern web workers, routers, sockets, the log or the emperor's other instances: a run does not name them.
_WITHOUT_EFFECT = """
http-socket-modifier1 http-socket-modifier2 https-socket-modifier1 https-socket-modifier2 fastcgi-modifier1
fastcgi-modifier2 scgi-modifier1 scgi-modifier2 raw-modifier1 raw-modifier2 protocol socket-protocol shared-socket
undeferred-shared-socket thunder-lock harakiri harakiri-verbose harakiri-graceful-timeout harakiri-graceful-signal
harakiri-queue-threshold harakiri-no-arh no-harakiri-arh no-harakiri-after-req-hook backtrace-depth skip-zero
ignore-sigpipe ignore-write-errors write-errors-tolerance write-errors-exception-only disable-write-exception listen
max-vars max-apps memory-report cgi-mode abstract-socket chmod-socket chmod chown-socket freebind map-socket
no-threads-wait emperor-proxy-socket emperor-wrapper emperor-wrapper-override emperor-wrapper-fallback
emperor-nofollow emperor-procname emperor-freq emperor-required-heartbeat emperor-curse-tolerance emperor-pidfile
emperor-tyrant emperor-tyrant-nofollow emperor-stats emperor-stats-server emperor-broodlord emperor-throttle
emperor-max-throttle emperor-on-demand-extension emperor-on-demand-ext emperor-on-demand-directory
emperor-on-demand-dir emperor-on-demand-exec emperor-extra-extension emperor-extra-ext emperor-no-blacklist
emperor-use-clone emperor-graceful-shutdown vassals-inherit vassals-include vassals-inherit-before
vassals-include-before vassal-sos vassal-sos-backlog vassals-set vassal-set heartbeat worker-reload-mercy
mule-reload-mercy force-gateway reaper max-requests max-requests-delta min-worker-lifetime max-worker-lifetime
max-worker-lifetime-delta socket-timeout no-fd-passing lock-engine ftok persistent-ipcsem safe-fd fd-safe
cache-expire-freq cache-report-freed-items signal-bufsize signals-bufsize rpc-max disable-logging pidfile pidfile2
safe-pidfile safe-pidfile2 no-initgroups setns-socket setns-socket-skip setns-skip setns-preopen after-request-hook
after-request-call weight auto-weight no-defer-accept tcp-nodelay so-keepalive so-send-timeout socket-send-timeout
so-write-timeout socket-write-timeout socket-sndbuf socket-rcvbuf shutdown-sockets reload-on-as reload-on-rss
evil-reload-on-as evil-reload-on-rss mem-collector-freq touch-workers-reload touch-mules-reload touch-chain-reload
touch-logrotate touch-logreopen propagate-touch limit-post cpu-affinity post-buffering post-buffering-bufsize
body-read-warning upload-progress no-default-app manage-script-name ignore-script-name catch-exceptions
reload-on-exception reload-on-exception-type reload-on-exception-value reload-on-exception-repr exception-handler
metrics-dir metric-dir metrics-no-cores udp stats-push stats-pusher-default-freq stats-pushers-default-freq
stats-no-cores stats-no-metrics multicast multicast-ttl multicast-loop notify-socket subscription-notify-socket
legion legion-mcast legion-node legion-freq legion-tolerance legion-death-on-lord-error legion-skew-tolerance
legion-quorum legion-scroll legion-scroll-max-size legion-scroll-list-max-size subscriptions-sign-check
subscriptions-sign-check-tolerance subscriptions-sign-skip-uid subscriptions-credentials-check
subscriptions-use-credentials subscription-algo subscription-dotsplit subscribe-to st subscribe subscribe2
subscribe-freq subscription-tolerance unsubscribe-on-graceful-reload start-unsubscribed subscribe-with-modifier1
snmp snmp-community ssl-verbose ssl-verify-depth sni sni-dir sni-dir-ciphers ssl-enable3 ssl-enable-sslv3
ssl-enable-tlsv1 ssl-option ssl-tmp-dir forkbomb-delay binary-path async logto logto2 log-format logformat
logformat-strftime log-format-strftime logfile-chown logfile-chmod log-syslog log-socket req-logger logger-req
logger threaded-logger log-encoder log-req-encoder use-abort alarm-cheap alarm-freq alarm-fd alarm-backlog
backlog-alarm lq-alarm alarm-lq alarm-listen-queue listen-queue-alarm alarm-msg-size log-master log-master-bufsize
log-master-stream log-master-req-stream log-reopen log-truncate log-maxsize log-backupname logdate log-date
log-prefix log-zero log-slow log-4xx log-5xx log-big log-sendfile log-ioerror log-micros log-x-forwarded-for
master-as-root drop-after-init drop-after-apps force-cwd binsh chdir2 cheap cheaper cheaper-initial cheaper-algo
cheaper-step cheaper-overload cheaper-rss-limit-soft cheaper-rss-limit-hard idle threads thread-stacksize
threads-stacksize thread-stack-size threads-stack-size vhost vhost-host error-page-403 error-page-404 error-page-500
websockets-ping-freq websocket-ping-freq websockets-pong-tolerance websocket-pong-tolerance websockets-max-size
websocket-max-size chunked-input-limit chunked-input-timeout clock add-header rem-header del-header collect-header
response-header-collect pull-header check-static check-static-docroot static-check static-map static-map2
static-skip-ext static-index static-safe static-cache-paths static-cache-paths-name mimefile mime-file
static-expires-type static-expires-type-mtime static-gzip-all static-gzip-dir static-gzip-prefix static-gzip-ext
static-gzip-suffix honour-range offload-threads offload-thread file-serve-mode fileserve-mode disable-sendfile
check-cache close-on-exec close-on-exec2 vacuum enable-proxy-protocol reuse-port tcp-fast-open tcp-fastopen
tcp-fast-open-client tcp-fastopen-client zerg-fallback zerg-server loop plugins plugin need-plugins need-plugin
plugins-dir plugin-dir autoload allowed-modifiers remap-modifier response-headers-limit reload-os-env
wsgi-env-behaviour wsgi-env-behavior start_response-nodelay wsgi-strict wsgi-accept-buffer wsgi-accept-buffers
wsgi-disable-file-wrapper symcall symcall-use-next symcall-register-rpc ping ping-timeout gevent gevent-wait-for-hub
nagios rrdtool rrdtool-freq rrdtool-lib carbon carbon-timeout carbon-freq carbon-id carbon-no-workers
carbon-max-retry carbon-retry-delay carbon-root carbon-hostname-dots carbon-name-resolve carbon-resolve-names
carbon-idle-avg carbon-use-metrics fastrouter fastrouter-processes fastrouter-workers fastrouter-zerg
fastrouter-use-cache fastrouter-use-pattern fastrouter-use-base fastrouter-fallback fastrouter-use-code-string
fastrouter-use-socket fastrouter-to fastrouter-gracetime fastrouter-events fastrouter-quiet fastrouter-cheap
fastrouter-subscription-server fastrouter-subscription-slot fastrouter-timeout fastrouter-post-buffering
fastrouter-post-buffering-dir fastrouter-stats fastrouter-stats-server fastrouter-ss fastrouter-harakiri
fastrouter-uid fastrouter-gid fastrouter-resubscribe fastrouter-resubscribe-bind fastrouter-buffer-size
fastrouter-fallback-on-no-key fastrouter-subscription-fallback-key https-export-cert https-session-context
http-to-https http-processes http-workers http-var http-to http-zerg http-fallback http-modifier1 http-modifier2
http-use-cache http-use-pattern http-use-base http-events http-subscription-server http-subscription-fallback-key
http-timeout http-manage-expect http-keepalive http-auto-chunked http-auto-gzip http-raw-body http-websockets
http-chunked-input http-use-code-string http-use-socket http-gracetime http-quiet http-cheap http-stats
http-stats-server http-ss http-harakiri http-stud-prefix http-uid http-gid http-resubscribe http-buffer-size
http-server-name-as-http-host http-headers-timeout http-connect-timeout http-manage-source http-manage-rtsp
http-enable-proxy-protocol ugreen ugreen-stacksize rsyslog-packet-size rsyslog-split-messages zergpool zerg-pool
rawrouter rawrouter-processes rawrouter-workers rawrouter-zerg rawrouter-use-cache rawrouter-use-pattern
rawrouter-use-base rawrouter-fallback rawrouter-use-code-string rawrouter-use-socket rawrouter-to
rawrouter-gracetime rawrouter-events rawrouter-max-retries rawrouter-quiet rawrouter-cheap
rawrouter-subscription-server rawrouter-subscription-slot rawrouter-timeout rawrouter-stats rawrouter-stats-server
rawrouter-ss rawrouter-harakiri rawrouter-xclient rawrouter-buffer-size sslrouter sslrouter2
sslrouter-session-context sslrouter-processes sslrouter-workers sslrouter-zerg sslrouter-use-cache
sslrouter-use-pattern sslrouter-use-base sslrouter-fallback sslrouter-use-code-string sslrouter-use-socket
sslrouter-to sslrouter-gracetime sslrouter-events sslrouter-max-retries sslrouter-quiet sslrouter-cheap
sslrouter-subscription-server sslrouter-timeout sslrouter-stats sslrouter-stats-server sslrouter-ss
sslrouter-harakiri sslrouter-sni sslrouter-buffer-size cheaper-busyness-max cheaper-busyness-min
cheaper-busyness-multiplier cheaper-busyness-penalty cheaper-busyness-verbose cheaper-busyness-backlog-alert
cheaper-busyness-backlog-multiplier cheaper-busyness-backlog-step cheaper-busyness-backlog-nonzero
"""

# uWSGI applies these while it reads them, so that $(ENV), @(file) and %(name) in their values stay as they are.
_IMMEDIATE = """
xmlconfig xml config fallback-config strict set set-placeholder set-ph declare-option resolve for for-glob for-times
for-readline endfor end-for if-opt if-not-opt if-env if-not-env ifenv if-reload if-not-reload if-hostname
if-not-hostname if-exists if-not-exists ifexists if-plugin if-not-plugin ifplugin if-file if-not-file if-dir
if-not-dir ifdir if-directory endif end-if blacklist end-blacklist whitelist end-whitelist include inject-before
inject-after stop reload pause suspend resume connect-and-read extract listen umask help usage print-sym
print-symbol spooler-processes signal flock flock-wait flock2 flock-wait2 immediate-uid immediate-gid ini yaml yml
command-mode early-envdir plugins plugin need-plugins need-plugin plugins-dir plugin-dir autoload dlopen
binary-append-data iprint exit cflags dot-h config-py build-plugin ini-paste ini-paste-logged python-version
"""

_PCRE_ALWAYS = "if-hostname-match if-not-hostname-match"
_PCRE_NOT_RUN = "alarm-log log-alarm not-alarm-log not-log-alarm router-list routers-list"
_PCRE_WITHOUT_EFFECT = """
error-route error-route-host error-route-if error-route-if-not error-route-label error-route-qs error-route-referer
error-route-remote-addr error-route-remote-user error-route-run error-route-status error-route-uri
error-route-user-agent final-route final-route-host final-route-if final-route-if-not final-route-label
final-route-qs final-route-referer final-route-remote-addr final-route-remote-user final-route-run
final-route-status final-route-uri final-route-user-agent log-drain log-filter log-req-route log-route pcre-jit
response-route response-route-host response-route-if response-route-if-not response-route-label response-route-qs
response-route-referer response-route-remote-addr response-route-remote-user response-route-run
response-route-status response-route-uri response-route-user-agent route route-host route-if route-if-not
route-label route-qs route-referer route-remote-addr route-remote-user route-run route-uri route-user-agent
sni-regexp static-expires static-expires-mtime static-expires-path-info static-expires-path-info-mtime
static-expires-uri static-expires-uri-mtime static-gzip
"""

#: only a build with PCRE has these
WITH_PCRE = frozenset((*_PCRE_ALWAYS.split(), *_PCRE_NOT_RUN.split(), *_PCRE_WITHOUT_EFFECT.split()))
#: emulated, too
ALWAYS = frozenset((*_ALWAYS.split(), *_PCRE_ALWAYS.split()))
NOT_RUN = frozenset((*_NOT_RUN.split(), *_PCRE_NOT_RUN.split()))
WITHOUT_EFFECT = frozenset((*_WITHOUT_EFFECT.split(), *_PCRE_WITHOUT_EFFECT.split()))
#: json is read by builds that have jansson
IMMEDIATE = frozenset((*_IMMEDIATE.split(), *_PCRE_ALWAYS.split(), "json", "js"))
