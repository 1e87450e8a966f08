package testbed

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestServersDieWithTheProgramThatStartedThem runs itself as that program.
func TestServersDieWithTheProgramThatStartedThem(t *testing.T) {
	Need(t, "dovecot")
	if dir := os.Getenv("TESTBED_KILLED_DIR"); dir != "" {
		startAndWaitForDeath(dir)
	}
	lab := NewForTest(t)
	program := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	program.Env = append(os.Environ(), "TESTBED_KILLED_DIR="+lab.Dir)
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	address, _ := bufio.NewReader(out).ReadString('\n')
	address = strings.TrimSpace(address)
	if err := expectGreeting(address, "* OK"); err != nil {
		t.Fatalf("server of the program at %q: %v", address, err)
	}
	family := descendants(program.Process.Pid)
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(pollEvery) {
		alive := 0
		for _, member := range family {
			if member.alive() {
				alive++
			}
		}
		if alive == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d processes are still there", alive, len(family))
		}
	}
}

func startAndWaitForDeath(dir string) {
	lab, err := New(dir)
	if err == nil {
		var source *Dovecot
		if source, err = lab.StartSource(SourceOptions{}); err == nil {
			fmt.Println(source.IMAPAddress)
			select {}
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestNewRefusesFoldersThatServersCannotUse(t *testing.T) {
	Need(t)
	closed := t.TempDir() // below a folder of mode 0700
	for name, dir := range map[string]string{
		"closed to other users": closed,
		"longer than":           "/tmp/" + strings.Repeat("x", 100),
	} {
		if _, err := New(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v, want %q in it", dir, err, name)
		}
	}
}

func TestStartNamesTheMistakeInAConfiguration(t *testing.T) {
	Need(t, "dovecot")
	_, err := NewForTest(t).StartSource(SourceOptions{ExtraConfig: "no_such_setting = 1"})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got error %v, want the setting's name in it", err)
	}
}
