package proxy

import (
	"testing"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	f := func(ended Termination, want string) {
		t.Helper()
		if got := ended.Flags(); got != want {
			t.Errorf("%v by %v: flags %q, want %q", ended.Reason, ended.By, got, want)
		}
	}
	f(Termination{}, "")
	f(Termination{Reason: reasonFinished, By: byDownstream}, "")
	f(Termination{Reason: reasonReset, By: byDownstream}, "DC")
	f(Termination{Reason: reasonReset, By: byUpstream}, "UC")
	f(Termination{Reason: reasonTimedOut, By: byUpstream}, "UC")
	f(Termination{Reason: reasonClosedEarly, By: byDownstream}, "DC")
	f(Termination{Reason: reasonHandshakeFailed}, "LR")
	f(Termination{Reason: reasonHandshakeFailed, By: byDownstream}, "DC")
	f(Termination{Reason: reasonNoMatch}, "NR")
	f(Termination{Reason: reasonNoEndpoint}, "UH")
	f(Termination{Reason: reasonConnectFailed, By: byUpstream}, "UF")
	f(Termination{Reason: reasonConnectFailed, By: byUpstream, Attempts: true}, "UF,URX")
	f(Termination{Reason: reasonMaxDuration}, "DT")
	f(Termination{Reason: reasonIdleTimeout}, "SI")
	f(Termination{Reason: reasonDescriptorLimit}, "OM")
	f(Termination{Reason: reasonShutdown}, "LR")
	f(Termination{Reason: reasonProcessLimit}, "OM")
	f(Termination{Reason: reasonListenerLimit}, "OM")
	f(Termination{Reason: reasonAcceptRate}, "RL")
	f(Termination{Reason: reasonAccessDenied}, "LR")
	f(Termination{Reason: reasonSourceConnections}, "RL")
	f(Termination{Reason: reasonSourceRate}, "RL")
}

func TestEveryReasonHasItsOwnWord(t *testing.T) {
	t.Parallel()
	seen := map[string]Reason{}
	for r := range Reason(len(reasonWords)) {
		word := r.String()
		if word == "" && r != reasonNone {
			t.Errorf("reason %d has no word", r)
		}
		if other, ok := seen[word]; ok {
			t.Errorf("reasons %d and %d are both %q", other, r, word)
		}
		seen[word] = r
	}
}
