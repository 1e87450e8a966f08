package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the daemon's database

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// quickCutover are times that let a test see the whole cutover.
var quickCutover = map[string]any{"check_interval_seconds": 1, "agree_observations": 3, "observation_interval_seconds": 1,
	"grace_seconds": 1, "quiet_seconds": 4, "deadline_hours": 1}

func startWithDNS(t *testing.T) (*site.Site, *site.DNS) {
	t.Helper()
	testbed.Need(t, "postfix", "knotd", "unbound")
	var world *site.DNS
	s := start(t, func(o *site.Options) {
		o.Postfix = true
		o.Prepare = func(lab *testbed.Lab, o *site.Options) (err error) {
			if world, err = site.StartDNS(lab, domain); err == nil {
				o.Config = map[string]map[string]any{"dns": world.Config(), "cutover": quickCutover}
			}
			return err
		}
	})
	must(t, s.Postfix.SetRecipients(anna, bob))
	return s, world
}

type domainView struct {
	State   string `json:"state"`
	Cutover struct {
		Waiting string `json:"waiting"`
	} `json:"cutover"`
}

func domainState(t *testing.T, s *site.Site) (d domainView) {
	t.Helper()
	must(t, s.JSON(&d, "domain", "show", domain))
	return d
}

func TestCutoverWithMailToBothSidesLosesAndDoublesNothing(t *testing.T) {
	s, world := startWithDNS(t)
	owners := map[string]*testbed.Client{anna: login(t, s, anna, annaPass), bob: login(t, s, bob, s.People[bob])}
	waitState(t, s, anna, "following") // before that Postfix could not deliver to them
	waitState(t, s, bob, "following")
	sealed := sealedCredentials(t, s)
	if !foundIn(t, s, sealed[0]) {
		t.Fatal("the search does not even find a credential that is there")
	}
	sent := map[string][]string{}
	number := 0
	send := func(direct bool) {
		for address := range owners {
			subject := fmt.Sprintf("letter %d", number)
			number++
			if direct {
				must(t, s.Postfix.Send("carl@elsewhere.example", letterTo(address, subject), address))
			} else {
				must(t, s.Source.Deliver("carl@elsewhere.example", letterTo(address, subject), address))
			}
			sent[address] = append(sent[address], subject)
		}
	}
	for range 5 {
		send(false)
	}
	must(t, world.Point(site.MXHost, 0, 1))
	for range 10 { // old answers live on: some still write to the source
		send(true)
		send(false)
	}
	must(t, site.Eventually(func() error {
		if d := domainState(t, s); d.State != "closed" {
			return fmt.Errorf("domain is %s: %s", d.State, d.Cutover.Waiting)
		}
		return nil
	}))
	for address, subjects := range sent {
		for _, subject := range subjects {
			if got := countSubject(t, owners[address], "INBOX", subject); got != 1 {
				t.Errorf("%s: %q is here %d times, want 1", address, subject, got)
			}
		}
		if status, err := owners[address].Examine("INBOX"); err != nil || status.Messages != len(subjects) {
			t.Errorf("%s has %d messages (%v), want %d", address, status.Messages, err, len(subjects))
		}
	}
	checkReport(t, s, 2*15)
	checkErased(t, s, sealed)
	if _, err := s.Dest.Login("carla@"+domain, "anything"); err == nil {
		t.Error("somebody could still join the closed domain")
	}
	login(t, s, anna, annaPass)
}

type fates struct{ Copied, Delivered, Deleted, Skipped, Refused, Parked int }

func (f fates) total() int {
	return f.Copied + f.Delivered + f.Deleted + f.Skipped + f.Refused + f.Parked
}

func checkReport(t *testing.T, s *site.Site, sourceMessages int) {
	t.Helper()
	var report struct {
		SourceMessages int `json:"source_messages"`
		Credentials    int `json:"credentials_left"`
		Fates          fates
		Accounts       []struct {
			SourceMessages int `json:"source_messages"`
			Fates          fates
		}
	}
	must(t, s.JSON(&report, "domain", "report", domain))
	sum := 0
	for _, a := range report.Accounts {
		if a.Fates.total() != a.SourceMessages {
			t.Errorf("an account's fates are %d, its source messages %d", a.Fates.total(), a.SourceMessages)
		}
		sum += a.SourceMessages
	}
	if report.SourceMessages != sourceMessages || sum != sourceMessages || report.Fates.total() != sourceMessages || report.Credentials != 0 {
		t.Errorf("report %+v does not add up to %d source messages without credentials", report, sourceMessages)
	}
}

// sealedCredentials reads the sealed passwords as they stand in the database now.
func sealedCredentials(t *testing.T, s *site.Site) (sealed [][]byte) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.StateDir, "mailstork.db")+"?mode=ro")
	must(t, err)
	defer db.Close()
	rows, err := db.Query("SELECT sealed FROM credential")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var one []byte
		must(t, rows.Scan(&one))
		sealed = append(sealed, one)
	}
	must(t, rows.Err())
	if len(sealed) != len(s.People) {
		t.Fatalf("%d credentials are stored, want %d", len(sealed), len(s.People))
	}
	return sealed
}

// checkErased looks for sealed credentials in the bytes of the database files: rows are gone, their octets overwritten.
func checkErased(t *testing.T, s *site.Site, sealed [][]byte) {
	t.Helper()
	for _, one := range sealed {
		if foundIn(t, s, one) {
			t.Error("a sealed credential is still in the database files")
		}
	}
}

func foundIn(t *testing.T, s *site.Site, octets []byte) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.StateDir, "mailstork.db*"))
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		if bytes.Contains(content, octets) {
			return true
		}
	}
	return false
}

func TestCutoverWaitsForEveryServer(t *testing.T) { // C1
	s, world := startWithDNS(t)
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	holds := func(why string) {
		t.Helper()
		deadline := time.Now().Add(8 * time.Second) // three observations and all other times fit in twice
		for time.Now().Before(deadline) {
			if d := domainState(t, s); d.State != "open" {
				t.Fatalf("%s: the domain is %s (%s), want open", why, d.State, d.Cutover.Waiting)
			}
			time.Sleep(250 * time.Millisecond)
		}
	}
	must(t, world.Point(site.MXHost, 0))
	holds("one of two servers still has the old MX")
	must(t, world.Servers[1].Stop())
	holds("one of two servers does not answer")
	must(t, world.Point(site.SourceMX, 0), world.Servers[1].Start(), world.Point(site.MXHost, 1))
	holds("the other server has the old MX")
	must(t, world.Point(site.MXHost, 0, 1))
	must(t, site.Eventually(func() error {
		if d := domainState(t, s); d.State != "closed" {
			return fmt.Errorf("domain is %s: %s", d.State, d.Cutover.Waiting)
		}
		return nil
	}))
}
