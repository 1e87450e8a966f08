package live

import (
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// whilePassedOn lets an account be passed on and not be switched until the returned function is called.
func whilePassedOn(o *site.Options) {
	o.Config["live"] = map[string]any{"pass_interval_seconds": 1, "small_changes": 0, "quick_milliseconds": 1}
}

func TestWhoeverSendsMailIsLetInAndPOP3WaitsForTheSwitch(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass, "paul@" + domain: annaPass}, func(o *site.Options) {
			whilePassedOn(o)
			o.Dest.POP3 = true
		})
		testbed.Need(t, "postfix")
		postfix, err := b.StartPostfix(testbed.PostfixOptions{Domains: []string{domain}, LMTPAddress: b.Dest.LMTPAddress, AuthSocket: b.Dest.AuthSocket})
		must(t, err)
		submit := func(address, password string) error {
			letter := []byte("From: <" + address + ">\r\nTo: <zoe@elsewhere.example>\r\nSubject: hello\r\n\r\nHello.\r\n")
			return postfix.Submit(address, password, address, letter, "zoe@elsewhere.example")
		}
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 30, 300)
		must(t, submit(anna, annaPass)) // a first login
		if a := b.show(anna); a.Route != "source" {
			t.Fatalf("after the first login the account is %+v", a)
		}
		o.enter()
		must(t, submit(anna, annaPass))
		must(t, b.Kill(syscall.SIGTERM)) // an entry of the file answers, without the daemon
		must(t, submit(anna, annaPass))
		var refused *textproto.Error
		if err := submit(anna, "wrong"); !errors.As(err, &refused) {
			t.Errorf("a wrong password: %v", err)
		}
		o.leave()
		o.enter()
		must(t, b.StartDaemon())
		if a := b.show(anna); a.Route != "source" || a.Switching.Urgent != "" {
			t.Errorf("before POP3 the account is %+v", a)
		}
		_, err = b.Dest.LoginPOP3(anna, annaPass)
		var later *testbed.POP3Error
		if !errors.As(err, &later) || !strings.HasPrefix(later.Text, "[SYS/TEMP]") {
			t.Errorf("POP3 of a passed on account: %v, want [SYS/TEMP]", err)
		}
		b.waitFor(anna, "switched", isHere)
		pop, err := b.Dest.LoginPOP3(anna, annaPass)
		must(t, err)
		must(t, pop.Close())
		o.checkFresh("after the switch")
	})
}

func TestThePasswordOfAPassedOnAccountIsInNoFile(t *testing.T) { // S1
	onBoth(t, func(t *testing.T, version string) {
		const canary = "c4nary-4nna-0ld"
		b := start(t, version, map[string]string{anna: canary}, func(o *site.Options) {
			whilePassedOn(o)
			o.Config["log"] = map[string]any{"level": "debug"}
		})
		o := newOwner(t, b.Dest, anna, canary)
		o.seed(b.Source, 30, 300)
		o.enter()
		content, err := os.ReadFile(b.Dest.ProxiedFile)
		if must(t, err); !strings.Contains(string(content), anna+"/imap:{ARGON2ID}") {
			t.Errorf("nobody is passed on:\n%s", content)
		}
		must(t, filepath.WalkDir(b.Dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), canary) {
				t.Errorf("the password is in %s", path)
			}
			return nil
		}))
	})
}

func TestAnAccountThatCannotBePassedOnLandsHereAndSaysWhy(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass, "odd@" + domain: annaPass}, nil)
		list := filepath.Join(t.TempDir(), "list")
		must(t, os.WriteFile(list, []byte("address,source_user\nbert@"+domain+",odd@"+domain+"\ncarl@"+domain+",a: b\n"), 0o600))
		_, err := b.CLI("account", "import", list, "--domain", domain)
		must(t, err)
		c, err := b.Dest.Login("bert@"+domain, annaPass) // another name at the source is no reason
		must(t, err)
		must(t, c.Close())
		if a := b.show("bert@" + domain); a.Route != "source" {
			t.Errorf("bert: %+v", a)
		}
		out, err := b.CLI("domain", "set", domain, "--pin", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
		if err == nil || !strings.Contains(err.Error(), "pinned") {
			t.Errorf("a pinned source was taken though nobody can be passed on to it: %s, %v", out, err)
		}
	})
}

// A letter that Postfix delivers here is one that the owner does not see yet.
func TestALetterThatComesHereMakesTheSwitchUrgent(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		testbed.Need(t, "postfix")
		b := start(t, version, map[string]string{anna: annaPass}, func(o *site.Options) {
			whilePassedOn(o)
			o.Postfix = true
		})
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 30, 300)
		o.enter()
		b.waitFor(anna, "followed", func(a shown) bool { return a.State == "following" })
		b.passes(anna, 2)
		if a := b.show(anna); a.Route != "source" {
			t.Errorf("before the letter the account is %+v", a)
		}
		must(t, b.Postfix.SetRecipients(anna))
		id := o.newID()
		must(t, b.Postfix.Send("carl@elsewhere.example", o.text(id, 300), anna))
		o.letters[id] = &letter{folder: "INBOX"}
		b.waitFor(anna, "switched", isHere)
		o.checkFresh("after the switch")
		log, err := b.CLI("log", anna)
		if must(t, err); !strings.Contains(log, "letters come here already") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
}

func TestAPasswordThatChangedAtTheSourceIsLearntWhilePassedOn(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, whilePassedOn)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 30, 300)
		o.enter()
		o.leave()
		const next = "another one"
		must(t, b.Source.SetPassword(anna, next))
		if _, err := b.Dest.Login(anna, annaPass); err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
			t.Errorf("the old password at a source that has a new one: %v", err)
		}
		b.waitFor(anna, "stuck", func(a shown) bool { return a.Stuck != "" })
		o.password = next
		o.enter()
		if a := b.waitFor(anna, "no longer stuck", func(a shown) bool { return a.Stuck == "" }); a.Route != "source" || !a.SwitchedAt.IsZero() {
			t.Errorf("the account is %+v", a)
		}
		o.leave()
	})
}

// The daemon runs as a user of its own, in Dovecot's group.
func TestDovecotsGroupMayAskForPassedOnSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, whilePassedOn)
		if doctor, err := b.CLI("doctor"); !strings.Contains(doctor, "Dovecot tells whom it passes on.") {
			t.Errorf("the doctor says: %v\n%s", err, doctor)
		}
		group, err := user.LookupGroup("dovecot")
		must(t, err)
		sockets := map[string][]string{testbed.Dovecot23: {"anvil", "ipc"}, testbed.Dovecot24: {"anvil"}}
		for _, name := range sockets[version] {
			info, err := os.Stat(filepath.Join(b.Dest.BaseDir, name))
			must(t, err)
			if gid := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != 0o660 || fmt.Sprint(gid) != group.Gid {
				t.Errorf("%s has mode %s and group %d, want 0660 and %s", name, info.Mode(), gid, group.Gid)
			}
		}
	})
}
