package mirror_test

import (
	"strings"
	"sync"
	"testing"

	"mailstork/daemon/mirror"
)

// flight counts the commands of all connections that the server has not answered.
type flight struct {
	mu      sync.Mutex
	open    int
	most    int
	refused func(open int, command string) bool
}

func (f *flight) ends(command string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.most = max(f.most, f.open)
	if f.refused != nil && f.refused(f.open, command) {
		f.open = 0
		return true
	}
	return false
}

func (f *flight) answered(line string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(line, "* ") && strings.Contains(line, " completed (") || strings.HasSuffix(line, "Logged in\r\n") {
		f.open = max(0, f.open-1)
	}
	return line
}

func TestManyFoldersAreAskedForInOneFlight(t *testing.T) {
	l := newLab(t, labOptions{})
	for i, name := range []string{"INBOX", "A", "B", "C", "D", "E", "F"} {
		l.put(name, 3*i+1, 3*i+2, 3*i+3)
	}
	f := &flight{}
	p := newProxy(t, l.source.IMAPAddress, rules{ends: f.ends, rewrite: f.answered})
	l.options.Source.Server = endpoint(t, p.address())
	l.options.Pairs = 1
	l.pass()
	l.wantSame()
	if f.most < 12 { // EXAMINE, SEARCH and FETCH of seven folders
		t.Errorf("at most %d commands were under way at once", f.most)
	}
	l.put("C", 30)
	l.put("F", 31)
	l.pass()
	l.wantSame()
}

// Some servers or things before them end a connection on which a folder is opened before the last answer was read.
func TestSourceThatDoesNotBearQuestionsAheadIsAskedStepByStep(t *testing.T) {
	l := newLab(t, labOptions{})
	for i, name := range []string{"INBOX", "A", "B", "C"} {
		l.put(name, 2*i+1, 2*i+2)
	}
	f := &flight{refused: func(open int, command string) bool { return open > 1 && strings.HasPrefix(command, "EXAMINE") }}
	p := newProxy(t, l.source.IMAPAddress, rules{ends: f.ends, rewrite: f.answered})
	l.options.Source.Server = endpoint(t, p.address())
	l.options.Pairs = 1
	result, err := mirror.Pass(l.ctx(), l.options)
	l.do(err)
	if problems := result.Problems(); len(problems) > 0 {
		t.Errorf("problems: %+v", problems)
	}
	l.wantSame()
}
