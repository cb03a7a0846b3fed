/*
Sluice is a TCP and TLS gateway that routes by server name.

It takes connections, reads the first message of a TLS client, which names the
host it wants, and sends each on to where that name belongs; "sluice demo" shows
it at work, and "sluice help" lists what else there is.

This package is the command line around sluice/config, which reads what the
user wrote, sluice/proxy, which is the gateway, and sluice/proxy/admin, which
answers for it over HTTP. Each command has a file of its own:

	demo          demo*.go, with the configuration in demo.hcl
	run           run.go; serve.go answers the signals, with reloader.go,
	              draining.go and upgrade.go; inherit.go is the other side of
	              that one; supervise.go and pidfile.go tell others
	validate      validate.go
	explain       explain.go; explain_print.go is the walk for people
	test          tests.go
	fmt           fmt.go; replace.go writes files in one step
	proxy-config  pc.go, and a pc_*.go for each of its commands; pc_source.go
	              says where their answers come from, pc_table.go and
	              pc_output.go how they are printed
	diff          diff.go
	kill          kill.go
	drain         drain.go
	reload        reload.go
	version       version.go
	completion    completion.go
	man           man.go
	help          root.go, which holds the commands together

Those that talk to a running gateway do so over its admin API, with the client
in admin_*.go, which also says in words why there was no answer.

# Rules

Exit codes are 0 for done, 1 when what was asked for did not go well, and 2 when
the command line could not be understood. An error that is a *misuse is of the
last kind, every other of the second. Commands return their errors, and only
main.go prints them. Results go to stdout; errors, diagnostics and the service
log to stderr. There is colour only on a terminal, and not with NO_COLOR.

The help, the manual pages and the completions are all made from the same
commands, so that they cannot differ. The scripts in testdata/script are the
tests and, beside the help, the best description of what to expect.
*/
package main
