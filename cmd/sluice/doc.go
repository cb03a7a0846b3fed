/*
Sluice is a TCP and TLS gateway that routes by server name.

It takes connections, reads the first message of a TLS client, which names the
host it wants, and sends each on to where that name belongs; "sluice demo" shows
it at work, and "sluice help" lists what else there is.

This package is the command line around sluice/config, which reads what the
user wrote, and sluice/proxy, which is the gateway. Each command has a file of
its own:

	demo        demo*.go, with the configuration in demo.hcl
	run         run.go; serve.go answers the signals, with reload.go, drain.go
	            and upgrade.go; supervise.go and pidfile.go tell others of it
	validate    validate.go
	fmt         fmt.go; replace.go writes files in one step
	version     version.go
	completion  completion.go
	man         man.go
	help        root.go, which holds the commands together

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
