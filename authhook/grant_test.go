package authhook

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// form is a request as Dovecot 2.3 writes it.
func form(user, password, clientSecret string) url.Values {
	return url.Values{"grant_type": {"password"}, "username": {user}, "password": {password},
		"client_id": {"dovecot"}, "client_secret": {clientSecret}}
}

func post(t *testing.T, h http.Handler, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/grant", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Dovecot-Auth-Service", "imap")
	r.Header.Set("X-Dovecot-Auth-Remote", "192.0.2.9:52672")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRepliesFollowTheTableThatBothDovecotsUnderstand(t *testing.T) {
	b := newBench(t, nil)
	for _, c := range []struct {
		name, user, password string
		want                 map[string]string
	}{
		{"yes", "anna@example.org", "right", map[string]string{"access_token": "t", "username": "anna@example.org", "active": "true",
			"uid": "5000", "gid": "5001", "home": "/var/vmail/anna@example.org"}},
		{"yes, user name as it came", "ANNA@example.org", "right", map[string]string{"access_token": "t", "username": "ANNA@example.org", "active": "true",
			"uid": "5000", "gid": "5001", "home": "/var/vmail/anna@example.org"}},
		{"characters that JSON libraries like to escape", "a&b'{}@example.org", "right", map[string]string{"access_token": "t", "username": "a&b'{}@example.org", "active": "true",
			"uid": "5000", "gid": "5001", "home": "/var/vmail/a&b'{}@example.org"}},
		{"no", "bert@example.org", "wrong", map[string]string{"access_token": "-", "username": "bert@example.org", "active": "false",
			"uid": "65534", "gid": "65534", "home": "/nonexistent"}},
		{"not ours", "anna@elsewhere.org", "right", map[string]string{"access_token": "-", "username": "-", "active": "true",
			"uid": "65534", "gid": "65534", "home": "/nonexistent"}},
		{"no address", "root", "right", map[string]string{"access_token": "-", "username": "-", "active": "true",
			"uid": "65534", "gid": "65534", "home": "/nonexistent"}},
	} {
		w := post(t, b.Handler(), form(c.user, c.password, "client secret").Encode())
		var got map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Errorf("%s: got %d %s", c.name, w.Code, w.Body)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if c.want["username"] != "-" && !strings.Contains(w.Body.String(), `"username":"`+c.user+`"`) {
			t.Errorf("%s: the user name is not there octet by octet: %s", c.name, w.Body)
		}
		if w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: content type %q", c.name, w.Header().Get("Content-Type"))
		}
	}
}

func TestEverythingUnclearIs503(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.err = &SourceProblem{What: "down"}
	good := form("anna@example.org", "right", "client secret")
	twice := good.Encode() + "&username=bert%40example.org"
	missing := form("anna@example.org", "right", "client secret")
	missing.Del("password")
	otherGrant := form("anna@example.org", "right", "client secret")
	otherGrant.Set("grant_type", "refresh_token")
	for name, body := range map[string]string{
		"source down":           good.Encode(),
		"wrong client secret":   form("anna@example.org", "right", "client secreT").Encode(),
		"no client secret":      form("anna@example.org", "right", "").Encode(),
		"field twice":           twice,
		"field missing":         missing.Encode(),
		"another grant":         otherGrant.Encode(),
		"no form":               "{}",
		"empty":                 "",
		"broken escape":         strings.Replace(good.Encode(), "%40", "%4", 1) + "%",
		"longer than permitted": good.Encode() + "&scope=" + strings.Repeat("x", maxBodyOctets),
	} {
		w := post(t, b.Handler(), body)
		if w.Code != 503 || strings.Contains(w.Body.String(), "error") {
			t.Errorf("%s: got %d %q, want 503", name, w.Code, w.Body)
		}
	}
	if b.verifier.asked != 1 {
		t.Errorf("the source was asked %d times, want once", b.verifier.asked)
	}
}

func TestWhoeverLacksTheClientSecretLearnsNothing(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "anna@example.org", "right", Yes, "proven")
	var first string
	for _, c := range [][2]string{{"anna@example.org", "right"}, {"anna@example.org", "wrong"}, {"unlisted@example.net", "x"}, {"anna@elsewhere.org", "x"}} {
		w := post(t, b.Handler(), form(c[0], c[1], "guess").Encode())
		text := fmt.Sprint(w.Code, w.Body)
		if first == "" {
			first = text
		}
		if text != first || w.Code != 503 {
			t.Errorf("%v: got %q, want what the others got: %q", c, text, first)
		}
	}
	last := b.journal.decisions[len(b.journal.decisions)-1]
	if !errors.Is(last.Err, errStranger) || last.Address != "" {
		t.Errorf("the journal was told %+v", last)
	}
}

func TestOtherMethodsAndPathsAreNotAnswered(t *testing.T) {
	b := newBench(t, nil)
	for _, c := range []struct {
		method, path string
		code         int
	}{{"GET", "/grant", 405}, {"PUT", "/grant", 405}, {"POST", "/", 404}, {"POST", "/grant/x", 404}} {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(form("anna@example.org", "right", "client secret").Encode())))
		if w.Code != c.code {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, w.Code, c.code)
		}
	}
}

func TestJournalIsToldClientAndService(t *testing.T) {
	b := newBench(t, nil)
	post(t, b.Handler(), form("anna@example.org", "right", "client secret").Encode())
	d := b.journal.decisions[0]
	if d.Client != netip.MustParseAddr("192.0.2.9") || d.Service != "imap" || d.Address != "anna@example.org" || d.Result != Yes {
		t.Errorf("got %+v", d)
	}
	for text, want := range map[string]string{"[2001:db8::1]:993": "2001:db8::1", "2001:db8::1": "2001:db8::1", "[::ffff:192.0.2.1]:1": "192.0.2.1",
		"": "invalid IP", "x\nevent=login": "invalid IP"} {
		if got := clientAddress(text).String(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{"imap": "imap", "pop3": "pop3", "submission-login": "submission-login", "x y": "", "a\nb": "", strings.Repeat("a", 99): strings.Repeat("a", 16)} {
		if got := serviceName(text); got != want {
			t.Errorf("service %q: got %q, want %q", text, got, want)
		}
	}
}

// panickingJournal fails where nothing else can.
type panickingJournal struct {
	fakeJournal
	panics int
}

func (j *panickingJournal) Decided(ctx context.Context, d Decision) {
	if j.panics > 0 {
		j.panics--
		panic("journal broken")
	}
	j.fakeJournal.Decided(ctx, d)
}

func TestPanicInAnAnswerIs503(t *testing.T) {
	journal := &panickingJournal{panics: 1}
	b := newBench(t, func(o *Options) { o.Journal = journal })
	if w := post(t, b.Handler(), form("anna@example.org", "right", "client secret").Encode()); w.Code != 503 {
		t.Errorf("got %d, want 503", w.Code)
	}
	if len(journal.decisions) != 1 || !strings.Contains(journal.decisions[0].Err.Error(), "journal broken") {
		t.Errorf("the journal was told %+v", journal.decisions)
	}
}

// TestUnixSocketTakesTheRequestOfDovecot24 speaks HTTP by hand: the target is in absolute form.
func TestUnixSocketTakesTheRequestOfDovecot24(t *testing.T) {
	b := newBench(t, nil)
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "hook.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := b.Server()
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	conn, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body := form("anna@example.org", "right", "client secret").Encode()
	fmt.Fprintf(conn, "POST http://127.0.0.1/grant HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Keep-Alive\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nX-Dovecot-Auth-Protocol: imap\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || !strings.Contains(string(text), `"active":"true"`) || !strings.Contains(string(text), `"username":"anna@example.org"`) {
		t.Errorf("got %d %s, %v", response.StatusCode, text, err)
	}
	if d := b.journal.decisions[0]; d.Service != "imap" {
		t.Errorf("service %q, want imap", d.Service)
	}
	conn.Close()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestAnswersComeBeforeDovecotGivesUp(t *testing.T) {
	const dovecot = 30 * time.Second
	if answerWithin >= dovecot || decideWithin >= answerWithin || defaultVerifyTimeout >= decideWithin {
		t.Errorf("deadlines are not nested: %s < %s < %s < %s", time.Duration(defaultVerifyTimeout), decideWithin, answerWithin, dovecot)
	}
}

// FuzzDecodeGrant compares with the decoder of net/url: whatever ours takes, the other reads alike.
func FuzzDecodeGrant(f *testing.F) {
	f.Add(form("anna@example.org", everyByte(), "client secret").Encode())
	f.Add("grant_type=password&username=a&password=+%2b%00&client_secret=%FF")
	f.Add("grant_type=password&username=&password=&client_secret=&x=%+1")
	f.Add("grant_type=password&username=a;b&password==&client_secret=&&=")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := decodeGrant([]byte(body))
		if err != nil {
			return
		}
		want, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B")) // net/url refuses semicolons, forms do not
		if err != nil {
			t.Fatalf("%q: net/url says %v", body, err)
		}
		for name, value := range map[string]string{"username": got.username, "password": string(got.password.Reveal()), "client_secret": string(got.clientSecret)} {
			if !slices.Equal(want[name], []string{value}) {
				t.Errorf("%q: %s is %q, net/url says %q", body, name, value, want[name])
			}
		}
	})
}
