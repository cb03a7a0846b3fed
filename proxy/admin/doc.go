// Package admin is how a gateway is looked into and told what to do while it
// runs: HTTP with JSON in it, a page for browsers, and metrics.
//
// [Bind] binds the addresses of a configuration, and [Sockets.Serve] answers on
// them until [Server.Close]. There is nothing of the data path here: what is
// asked goes to a [Gateway], whose workers answer between two turns of theirs
// and are kept from nothing.
//
// # Who may do what
//
//	anyone    who can connect
//	reader    over loopback, or an operator
//	operator  with the token, over the unix socket, or with the cookie of a login
//
//	GET  /                      anyone    the page; a list of the paths where there is none
//	GET  /session               anyone    {"may_change","token_configured","logged_in"}
//	POST /login  /logout        anyone    {"token"} for a cookie, and its end
//	GET  /ready                 anyone    200, or 503 while the gateway starts or drains
//	GET  /healthz               anyone    200
//	GET  /server_info           reader    status.Server
//	GET  /listeners             reader    []status.Listener     ?address port type chain
//	GET  /routes                reader    []status.Route        ?name sni
//	GET  /clusters              reader    []status.Cluster      ?name fqdn port
//	GET  /endpoints             reader    []status.Endpoint     ?address port cluster status
//	GET  /secrets               reader    []status.Secret       ?name
//	GET  /connections           reader    status.Connections    ?sni source listener chain cluster endpoint after limit
//	GET  /dump                  reader    status.Dump
//	GET  /outline               reader    status.Outline: what a reload compares
//	GET  /explain               reader    status.Explanation    ?listener sni alpn source destination transport ja4
//	POST /explain               reader    the same for a status.Question, which may have a ClientHello in it
//	GET  /logging               reader    {"level"}
//	GET  /metrics               reader    Prometheus; /stats/prometheus is the same
//	GET  /events                reader    server-sent events    ?topics=flow,connections, and a filter as of /connections
//	GET  /config                operator  {"files":[{"name","text"}]}
//	GET  /debug/pprof/          operator  net/http/pprof
//	POST /connections/ID/kill   operator  resets a connection on both sides
//	POST /clusters/CLUSTER/endpoints/ADDRESS
//	                            operator  {"state": "ready", "drain" or "maint"}, {"weight": N}, or both
//	POST /logging?level=LEVEL   operator  trace debug info warn error, until a reload changes log.level
//	POST /reload                operator  as SIGHUP
//	POST /drain                 operator  as SIGTERM; again, it does nothing
//	POST /upgrade               operator  as SIGUSR2; answers when the new process serves
//
// The code's own table is in routes.go, and a test compares who may do what with
// one that is written by hand. GET changes nothing, and answers HEAD. A change
// answers {"result": "words"} and is logged with who it was; an error is a status
// and {"error": "words"}. A parameter or a field that there is none of is an
// error. A list is never null; fields are added, and none is renamed.
//
// The metrics address has /ready, /healthz, /metrics and /stats/prometheus, for
// anyone.
//
// # Against whom
//
// Any program of this machine can reach loopback. It may read, but neither
// change anything nor see what may hold secrets: the text of the configuration,
// and profiles, which have memory in them. The text is that of the files as they
// were loaded, so what env(), file() and variables gave is not in it; what is
// written there literally is.
//
// From other machines nobody gets in without the token, and none goes over the
// network in the clear: such an address needs a token and TLS, or it is an error
// of the configuration.
//
// A page of another origin, in a browser on this machine, neither reads nor
// changes anything (guard.go). Our own takes the token once, for a cookie that no
// script sees (login.go) and that changes things only together with a header
// that a form cannot send. What it may load is from here alone.
//
// A reload takes over the token, and with another one ends all logins, and the
// certificates ([Server.Apply]). The addresses are those that the process began
// with.
//
// None of this keeps out who may do all: root, and the gateway's own user.
//
// # Metrics
//
// [NewMetrics] answers a scrape: everything is read when it is asked for, and
// written at once (metrics_text.go). A counter goes on through reloads for as long
// as what it counts has its name, and is gone from the output with it. No label has
// anything in it that a client has sent, or its address; so there are as many
// series as the configuration makes:
//
//	20   of the gateway, and some 60 of the process and the Go runtime
//	154  of a listener (metrics_listeners.go), of which 114 are reasons of its ends
//	4    of a filter chain
//	4    of a route from a chain to a cluster
//	47   of a cluster (metrics_clusters.go)
//	13   of an endpoint
//	1    of a use of certificates or of CAs, by a chain or a cluster
//
// Ten thousand filter chains are 80,000 series and 6 MB; a scrape of them takes
// 17 ms, and one of ten chains 0.6 ms.
//
// # Events
//
//	event: flow          once a second: {"time","server","listeners","clusters","endpoints"}
//	event: connections   once a second: a page of /connections
//	event: failure       {"error": "words"} in place of a page that could not be had
//
// Counters in them are of all time, so that who reads takes differences, and
// loses nothing with an event that did not come. All who watch the same share
// one ticker and one message; who does not read is dropped (events.go). Streams
// end with the server, so that nobody who watches keeps it up.
package admin
