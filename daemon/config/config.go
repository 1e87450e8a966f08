package config

// Config is the whole configuration. Every key has a comment, a default, its bounds and a value that must be refused;
// the tags are the only place where they are written (bounds.go tells their language).
// A path may start with {state_dir} or {runtime_dir}; Load and Default return it expanded.
type Config struct {
	// Folder of what must survive a restart: the database, Dovecot's user files, messages that could not be stored.
	StateDir string `yaml:"state_dir" default:"/var/lib/mailstork" bounds:"path" bad:"var/lib/mailstork"`
	// Folder of sockets and of what is made anew at every start.
	RuntimeDir string `yaml:"runtime_dir" default:"/run/mailstork" bounds:"path" bad:"run"`
	// File with the 32 octets that seal the borrowed passwords; made at the first start.
	// The default {key_dir} is $CREDENTIALS_DIRECTORY when systemd laid a file "key" there (LoadCredential=key:…),
	// else {state_dir}. Without this file the stored passwords can't be opened again.
	KeyFile string `yaml:"key_file" default:"{key_dir}/key" bounds:"path" bad:"key"`
	// What is written to the log, on standard error.
	Log Log `yaml:"log"`
	// The socket through which the mailstork command speaks to the daemon.
	Control Control `yaml:"control"`
	// What the daemon tells Prometheus. mailstork status --metrics shows it, too, and needs none of these keys.
	Metrics Metrics `yaml:"metrics"`
	// The endpoint that Dovecot asks when somebody logs in whom it does not know yet.
	Hook Hook `yaml:"hook"`
	// The Dovecot of this machine: the destination.
	Dovecot Dovecot `yaml:"dovecot"`
	// The listener that Postfix tells about letters delivered here directly.
	Milter Milter `yaml:"milter"`
	// How accounts are copied and followed.
	Mirror Mirror `yaml:"mirror"`
	// When an account whose sessions are passed on to its source (first-login proxy) is switched to this server.
	Live Live `yaml:"live"`
	// When a domain may move on after its MX was changed. Doubt delays, it never closes a domain.
	Cutover Cutover `yaml:"cutover"`
	// How the public DNS is asked.
	DNS DNS `yaml:"dns"`
	// How the old servers are reached.
	Source Source `yaml:"source"`
}

// Log is the group log.
type Log struct {
	// The least severe events that are written.
	Level string `yaml:"level" default:"info" bounds:"debug|info|warn|error" bad:"loud"`
	// One line of key=value words, or one JSON object, per event.
	Format string `yaml:"format" default:"text" bounds:"text|json" bad:"xml"`
}

// Control is the group control.
type Control struct {
	// Unix socket of the control API (mode 0660).
	Socket string `yaml:"socket" default:"{runtime_dir}/control.sock" bounds:"path" bad:"control.sock"`
	// Group whose members may use the control API beside root; empty means the daemon's own group.
	Group string `yaml:"group" default:"" bounds:"name or empty" bad:"mail storks"`
}

// Metrics is the group metrics.
type Metrics struct {
	// Unix socket that answers GET /metrics and nothing else (mode 0660); empty turns it off.
	Socket string `yaml:"socket" default:"" bounds:"path or empty" bad:"metrics.sock"`
	// Loopback address and port that answers GET /metrics to whoever shows the token (Authorization: Bearer); empty turns
	// it off.
	Listen string `yaml:"listen" default:"" bounds:"loopback host:port or empty" bad:"0.0.0.0:7913"`
	// File with that token (Prometheus: authorization.credentials_file); made at the first start that needs it.
	TokenFile string `yaml:"token_file" default:"{state_dir}/metrics-token" bounds:"path" bad:"token"`
	// Group whose members may use the socket and read the token file; empty means the daemon's own group and only its user.
	// The daemon must be a member of it.
	Group string `yaml:"group" default:"" bounds:"name or empty" bad:"mail storks"`
}

// Hook is the group hook.
type Hook struct {
	// Where Dovecot's oauth2 passdb sends its questions: loopback address and port, or a Unix socket.
	Listen string `yaml:"listen" default:"127.0.0.1:7911" bounds:"loopback host:port or path" bad:"0.0.0.0:7911"`
	// File with the client_secret that Dovecot must show; made at the first start.
	ClientSecretFile string `yaml:"client_secret_file" default:"{state_dir}/hook-secret" bounds:"path" bad:"secret"`
	// How long the source may take to accept or refuse a password; then the login fails for the moment.
	// A source that took failed logins amiss lets everybody wait for 15 seconds; Dovecot gives up after 30.
	VerifyTimeout Seconds `yaml:"verify_timeout_seconds" default:"20" bounds:"1..25" bad:"30"`
	// How many passwords are verified at sources at once.
	ParallelVerifications int `yaml:"parallel_verifications" default:"20" bounds:"1..500" bad:"0"`
	// How many wrong passwords of one account are passed on to its source within failure_window_minutes.
	FailuresPerAccount int `yaml:"failures_per_account" default:"3" bounds:"1..1000" bad:"0"`
	// How many wrong passwords of all accounts together are passed on to one source within failure_window_minutes,
	// so that the source does not take this server for an attacker and ban it. The default stays below fail2ban's five
	// in ten minutes; raise it when the source has put this server on its allow list.
	FailuresPerSource int `yaml:"failures_per_source" default:"4" bounds:"1..100000" bad:"0"`
	// How many wrong passwords from one network of clients (an IPv4 address, an IPv6 /64) are passed on to sources within
	// failure_window_minutes.
	FailuresPerNetwork int `yaml:"failures_per_network" default:"3" bounds:"1..100000" bad:"0"`
	// Networks behind which many people are, a webmail for example: failures_per_network does not count for them. This machine
	// itself is always one.
	TrustedNetworks []string `yaml:"trusted_networks" default:"" bounds:"list of 0..64 network" bad:"192.0.2.1/99"`
	// How many accounts may be created within a minute.
	CreationsPerMinute int `yaml:"creations_per_minute" default:"300" bounds:"1..100000" bad:"0"`
	// A refusal takes no less than this, and no less than most logins at sources take, so that nobody learns from the
	// time who is expected here.
	LeastRefusal Milliseconds `yaml:"least_refusal_milliseconds" default:"400" bounds:"1..5000" bad:"0"`
	// How long a wrong password counts.
	FailureWindow Minutes `yaml:"failure_window_minutes" default:"10" bounds:"1..1440" bad:"0"`
	// How long the same wrong password is refused without asking the source again.
	WrongPasswordMemory Minutes `yaml:"wrong_password_memory_minutes" default:"60" bounds:"1..1440" bad:"-1"`
}

// Dovecot is the group dovecot.
type Dovecot struct {
	// Where Dovecot's IMAP listens for the master user; the messages are written through it.
	IMAPAddress string `yaml:"imap_address" default:"127.0.0.1:143" bounds:"loopback host:port or path" bad:"imap.example.org:143"`
	// Dovecot's base_dir; the fence asks its anvil socket which sessions are still there.
	BaseDir string `yaml:"base_dir" default:"/run/dovecot" bounds:"path" bad:"dovecot"`
	// The doveadm program.
	DoveadmPath string `yaml:"doveadm_path" default:"/usr/bin/doveadm" bounds:"path" bad:"doveadm"`
	// Passwd-file that the daemon writes for Dovecot's first passdb: accounts whose owner has logged in here.
	PassdbFile string `yaml:"passdb_file" default:"{state_dir}/dovecot/passdb" bounds:"path" bad:"passdb"`
	// Passwd-file that the daemon writes for Dovecot's first userdb: every account, so that mail is accepted for it.
	UserdbFile string `yaml:"userdb_file" default:"{state_dir}/dovecot/userdb" bounds:"path" bad:"userdb"`
	// Passwd-file that the daemon writes for Dovecot's last passdb: accounts whose sessions are passed on to their source.
	ProxiedFile string `yaml:"proxied_file" default:"{state_dir}/dovecot/proxied" bounds:"path" bad:"proxied"`
	// File with the authorities that Dovecot's proxy verifies sources against (PEM). Empty: nobody is passed on to a source
	// with TLS. Dovecot learns it from what mailstork setup dovecot prints.
	ProxyCAFile string `yaml:"proxy_ca_file" default:"" bounds:"path or empty" bad:"ca.pem"`
	// Group that may read the files; empty means the daemon's own group.
	FileGroup string `yaml:"file_group" default:"dovecot" bounds:"name or empty" bad:"mail storks"`
	// Passwd-file of the master user; written at every start with a new random password.
	MasterFile string `yaml:"master_file" default:"{runtime_dir}/dovecot/master" bounds:"path" bad:"master"`
	// Name of the master user.
	MasterUser string `yaml:"master_user" default:"mailstork" bounds:"name" bad:"a*b"`
	// Dovecot's auth_master_user_separator.
	MasterSeparator string `yaml:"master_separator" default:"*" bounds:"*|%|+|/" bad:"::"`
	// User id that owns the mail on disk. Dovecot's first_valid_uid must allow it.
	MailUID int `yaml:"mail_uid" default:"5000" bounds:"1..4294967293" bad:"0"`
	// Group id that owns the mail on disk.
	MailGID int `yaml:"mail_gid" default:"5000" bounds:"1..4294967293" bad:"0"`
	// Home folder of an account. {domain} and {local} are the two parts of its address.
	HomeTemplate string `yaml:"home_template" default:"/var/vmail/{domain}/{local}" bounds:"path with {domain} and {local}" bad:"/var/vmail/{local}"`
	// How long to wait, after doubt about an append, until Dovecot's old session is gone; then the pass ends and is retried.
	FenceTimeout Seconds `yaml:"fence_timeout_seconds" default:"60" bounds:"1..600" bad:"0"`
}

// Milter is the group milter.
type Milter struct {
	// Where Postfix's smtpd_milters reaches the daemon: loopback address and port, or a Unix socket; empty turns it off.
	// A chrooted Postfix (Debian's default) sees sockets only below /var/spool/postfix.
	Listen string `yaml:"listen" default:"127.0.0.1:7912" bounds:"loopback host:port or path or empty" bad:"0.0.0.0:7912"`
	// How long a recorded delivery is kept.
	KeepDays Days `yaml:"keep_days" default:"60" bounds:"1..3650" bad:"0"`
}

// Mirror is the group mirror.
type Mirror struct {
	// How many accounts are copied at once.
	Workers int `yaml:"workers" default:"4" bounds:"1..64" bad:"0"`
	// How many connections to its source one account may use. 4 copied many small messages faster in our runs;
	// old providers count them together with those of the account's owner. Fewer are used when no more are let in.
	ConnectionsPerAccount int `yaml:"connections_per_account" default:"2" bounds:"1..8" bad:"9"`
	// So many of the newest messages of the inbox are here before anything else, for somebody who has logged in. 0: all
	// folders in the order of the source.
	NewestFirst int `yaml:"newest_first_messages" default:"50" bounds:"0..1000" bad:"1001"`
	// When the inbox is complete, the messages that came first are filed anew behind the older ones, once, so that mail
	// programs that sort by arrival show them at the right end. A POP3 program that has fetched them fetches them again.
	Refile bool `yaml:"refile" default:"true" bounds:"true|false" bad:"maybe"`
	// The least time between two revisions of the letter that tells an owner how far the move is.
	NoticeInterval Seconds `yaml:"notice_interval_seconds" default:"3600" bounds:"1..86400" bad:"0"`
	// Time from the end of a pass to the next while an account is following.
	PassInterval Seconds `yaml:"pass_interval_seconds" default:"300" bounds:"1..86400" bad:"0"`
	// Time to the next try after the first failed pass; it doubles with every further one.
	RetryMin Seconds `yaml:"retry_min_seconds" default:"30" bounds:"1..3600" bad:"0"`
	// The longest time to the next try.
	RetryMax Minutes `yaml:"retry_max_minutes" default:"60" bounds:"1..1440" bad:"0"`
	// How long a worker that died keeps its account before another takes it over.
	Lease Seconds `yaml:"lease_seconds" default:"60" bounds:"3..3600" bad:"1"`
	// Folder of messages that Dovecot refuses to store, as they came; named in the report.
	RefusedDir string `yaml:"refused_dir" default:"{state_dir}/refused" bounds:"path" bad:"refused"`
}

// Live is the group live.
type Live struct {
	// Time from the end of a pass to the next while an account's sessions are passed on to its source.
	PassInterval Seconds `yaml:"pass_interval_seconds" default:"15" bounds:"1..86400" bad:"0"`
	// An account is switched after a pass that found no more changes than this, and was quick.
	SmallChanges int `yaml:"small_changes" default:"20" bounds:"0..100000" bad:"-1"`
	// A pass is quick that took no longer than this: the last one, during which logins wait, will be like it.
	Quick Milliseconds `yaml:"quick_milliseconds" default:"1500" bounds:"1..600000" bad:"0"`
	// So long after its first complete pass an account is switched all the same: its source is never quiet.
	Patience Minutes `yaml:"patience_minutes" default:"15" bounds:"1..10080" bad:"0"`
}

// Cutover is the group cutover.
type Cutover struct {
	// How often the DNS of every domain is looked at.
	CheckInterval Seconds `yaml:"check_interval_seconds" default:"300" bounds:"1..86400" bad:"0"`
	// How many times in a row every authoritative server must name this server.
	AgreeObservations int `yaml:"agree_observations" default:"3" bounds:"1..100" bad:"0"`
	// The least time between two observations that count.
	ObservationInterval Seconds `yaml:"observation_interval_seconds" default:"300" bounds:"1..86400" bad:"0"`
	// Waited beyond the longest TTL ever seen on an old answer.
	Grace Seconds `yaml:"grace_seconds" default:"3600" bounds:"0..604800" bad:"-1"`
	// How long no new message may have come to the source before the domain is closed.
	Quiet Seconds `yaml:"quiet_seconds" default:"86400" bounds:"1..2592000" bad:"0"`
	// A source that never becomes quiet (forgotten lists, old senders) is waited for no longer than this after the
	// old answers have expired.
	Deadline Hours `yaml:"deadline_hours" default:"336" bounds:"1..8760" bad:"0"`
}

// DNS is the group dns.
type DNS struct {
	// Resolvers that are asked for the parent zone's servers. What they say is united, so that one that lies can only add
	// servers to ask. Empty: those of /etc/resolv.conf.
	Resolvers []string `yaml:"resolvers" default:"" bounds:"list of 0..8 ip:port" bad:"one.one.one.one"`
	// Public resolvers that are asked what caches still say; they never make an answer better.
	PublicResolvers []string `yaml:"public_resolvers" default:"1.1.1.1:53 8.8.8.8:53 9.9.9.9:53" bounds:"list of 0..8 ip:port" bad:"8.8.8.8"`
	// Servers of the parent zone, asked instead of those that the resolvers name. For private laboratories.
	Parents []string `yaml:"parents" default:"" bounds:"list of 0..8 ip:port" bad:"a.dns.example:53"`
	// Port of the servers that were learnt from DNS. Anything but 53 is for private laboratories.
	Port int `yaml:"port" default:"53" bounds:"1..65535" bad:"65536"`
	// How long one server may take to answer one question.
	Timeout Seconds `yaml:"timeout_seconds" default:"2" bounds:"1..30" bad:"0"`
}

// Source is the group source.
type Source struct {
	// Allow sources at loopback and private addresses. Off, since the hook would let outsiders probe the inner network
	// through a source's name.
	AllowPrivateAddresses bool `yaml:"allow_private_addresses" default:"false" bounds:"true|false" bad:"maybe"`
	// How long connecting and greeting may take.
	ConnectTimeout Seconds `yaml:"connect_timeout_seconds" default:"15" bounds:"1..300" bad:"0"`
	// How long a source may send nothing while an answer is awaited.
	IdleTimeout Seconds `yaml:"idle_timeout_seconds" default:"120" bounds:"1..3600" bad:"0"`
}
