package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstork/test/corpus"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

func TestFullAccountGoesOnWhenItsQuotaIsRaised(t *testing.T) { // L1, L2
	s := start(t, func(o *site.Options) { o.Dest.Quota = "10K" })
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	owner := login(t, s, anna, annaPass)
	wantShown(t, s, anna, told{"Nothing of it was begun, so that new mail still has room.",
		"Answer: QUOTA \"User quota\" (STORAGE ", "doveadm quota get -u " + anna + "   # raise it, then: mailstork account sync " + anna})
	here := 0
	for _, folder := range []string{"INBOX", "Sent"} {
		status, err := owner.Examine(folder)
		must(t, err)
		here += status.Messages
	}
	if here >= 35 {
		t.Fatalf("%d messages are here: the quota was no limit", here)
	}
	conf, err := os.ReadFile(s.Dest.ConfFile)
	must(t, err)
	must(t, os.WriteFile(s.Dest.ConfFile, []byte(strings.NewReplacer("storage=10K", "storage=10M", "quota_storage_size = 10K", "quota_storage_size = 10M").Replace(string(conf))), 0o644), s.Dest.Restart())
	_, err = s.CLI("account", "sync", anna)
	must(t, err)
	waitState(t, s, anna, "following")
	compareWithSource(t, s)
	wantNoTrouble(t, s)
}

// smallDisk mounts a disk of its own on a folder until the test ends; fill makes it full, and free gives the room back.
type smallDisk struct{ dir string }

func (d smallDisk) filler() string { return filepath.Join(d.dir, "filler") }

func mountSmallDisk(t *testing.T, dir string, options string) (smallDisk, error) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return smallDisk{}, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		return smallDisk{}, fmt.Errorf("mounting a small disk: %w", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return smallDisk{dir}, nil
}

// fill leaves room for so many octets.
func (d smallDisk) fill(t *testing.T, room int64) {
	t.Helper()
	file, err := os.Create(d.filler())
	must(t, err)
	defer file.Close()
	size := int64(0)
	for err == nil {
		var n int
		n, err = file.Write(make([]byte, 4096))
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	must(t, file.Truncate(max(0, size-room)))
}

func (d smallDisk) free(t *testing.T) { t.Helper(); must(t, os.Remove(d.filler())) }

// many is an account whose ledger does not fit on a small disk.
func many() corpus.Account {
	folder := corpus.Folder{Path: []string{"INBOX"}, Subscribed: true}
	for i := range 800 {
		folder.Messages = append(folder.Messages, testbed.Message{Content: letterTo(anna, fmt.Sprint("number ", i)), Date: time.Unix(1_700_000_000+int64(i), 0)})
	}
	return corpus.Account{Folders: []corpus.Folder{folder}}
}

func TestFullStateDiskInTheMiddleOfAPassLosesAndDoublesNothing(t *testing.T) { // L1, L2
	var disk smallDisk
	s := start(t, func(o *site.Options) {
		o.Config = map[string]map[string]any{"mirror": {"pass_interval_seconds": 1, "retry_min_seconds": 1, "lease_seconds": 3}}
		o.Prepare = func(lab *testbed.Lab, _ *site.Options) (err error) {
			disk, err = mountSmallDisk(t, filepath.Join(lab.Dir, "state"), "size=4m,mode=0755")
			return err
		}
	})
	must(t, corpus.Seed(s.Source, anna, annaPass, many()))
	owner := login(t, s, anna, annaPass)
	disk.fill(t, 200_000)
	wantShown(t, s, anna, told{"A disk of this server is full; nothing is lost, the pass goes on when there is room.", "database or disk is full",
		"df -h " + s.StateDir + "   # when there is room: mailstork account sync " + anna})
	status, err := owner.Examine("INBOX")
	must(t, err)
	t.Logf("%d messages are here when the disk is full", status.Messages)
	disk.fill(t, 0)
	must(t, site.Eventually(func() error { // small changes find room for a while where a large one did not
		_, err := s.CLI("account", "sync", anna)
		if err == nil {
			return errors.New("account sync found room on a full disk")
		}
		return told{"exit status 1: mailstork: a disk of this server is full; nothing was changed", "\n  answer: changing account", "\n  next:   df -h " + s.StateDir}.in(err.Error())
	}))
	disk.free(t)
	waitState(t, s, anna, "following")
	compareWithSource(t, s)
	wantNoTrouble(t, s)
}

func TestFullMailDiskIsToldAndPassesGoOn(t *testing.T) { // L1, L2
	var disk smallDisk
	s := start(t, func(o *site.Options) {
		o.Prepare = func(lab *testbed.Lab, o *site.Options) (err error) {
			o.Dest.HomeDir = filepath.Join(lab.Dir, "mail")
			disk, err = mountSmallDisk(t, o.Dest.HomeDir, fmt.Sprintf("size=8m,mode=0750,uid=%d,gid=%d", testbed.MailUID, testbed.MailGID))
			return err
		}
	})
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	disk.fill(t, 20_000)
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	// Dovecot 2.3.19 does not tell that it is the disk. The doctor does.
	wantShown(t, s, anna, told{"", "NO [SERVERBUG] Internal error occurred", "mailstork doctor   # tried again by itself; at once: mailstork account sync " + anna})
	if out, _ := s.CLI("doctor"); !strings.Contains(out, "FAIL  disk mail") || !strings.Contains(out, "next: df -h "+disk.dir) {
		t.Errorf("the doctor does not find the full disk:\n%s", out)
	}
	disk.free(t)
	wantNoTrouble(t, s)
	compareWithSource(t, s)
}
