package integration

import "os/exec"

// insideUnshare runs the gateway as the first process of a PID namespace.
func insideUnshare() option {
	return withCommand(func(cmd *exec.Cmd) {
		path, err := exec.LookPath("unshare")
		if err != nil {
			panic("BUG: integration: the unshare program is gone")
		}
		cmd.Args = append([]string{path, "--pid", "--fork", "--kill-child", "--"}, cmd.Args...)
		cmd.Path = path
	})
}
