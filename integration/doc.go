/*
Package integration tests the gateway as its users meet it: the program itself,
run as a process of its own, with real clients on one side and real servers on
the other. There is nothing in it but tests.

The program is built once per run, with the race detector when the tests have
it. A test writes a configuration as a string, with port 0 wherever it listens,
and learns the addresses from the service log, as an operator would. What the
gateway decided is read from its access records; what it did, from the bytes,
FINs and resets that the two sides saw. Nothing sleeps: tests wait for records,
log lines and the ends of connections.

	harness_test.go   the process: start, addresses, records, stop, counters
	backends_test.go  the servers behind it
	peers_test.go     raw TCP clients and servers that see each FIN and reset
	policy_test.go    the rules of the house, held over the source itself

and one file per theme for the rest.

Some tests need other programs (openssl, curl, iperf3), or IPv6. Where one is
missing the test is skipped and what it needs is named at the end of the run;
with SLUICE_REQUIRE_TOOLS=1 it fails instead.
*/
package integration
