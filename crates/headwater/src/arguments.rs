//! The command line. Its names are a promise: they change only with a new major version.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::limits::TEST_ROUNDS_DEFAULT;

const EXAMPLES: &str = "\
Examples:
  headwater run examples/bank                  start the bank: streams, views and commands of one file, behind three doors
  headwater sql 'SELECT * FROM balances'       ask it
  headwater sql \"CALL withdraw('BradA', 20.00, 'ann')\"
  headwater test examples/bank                 run its tests
  psql -h 127.0.0.1 -p 5433                    or ask with any PostgreSQL client

Exit codes:
  0  done
  1  the work failed: a test, a statement, an application with an error in it
  2  the command line or the settings are wrong
  3  the data folder or an address is in use, or a newer program wrote the folder
  4  the log is damaged, or stopped writing";

const RUN_EXAMPLES: &str = "\
Every option is also a key of headwater.toml in the application's folder (data = \"/var/lib/bank\") and an environment
variable (HEADWATER_DATA). An option goes before the variable, the variable before the file, the file before the default.

Standard output names the doors, one a line, before anything is answered: 'kafka 127.0.0.1:9092', 'postgres …', 'http …'. A last line
that begins with 'ready' says that all of them answer. SIGTERM and Ctrl-C stop the program within a second; a second one at once.

Examples:
  headwater run examples/bank
  headwater run app.sql --data /var/lib/bank --kafka 0.0.0.0:9092
  headwater run app.sql --kafka none --postgres 127.0.0.1:0 --http none";

const TEST_EXAMPLES: &str = "\
A test file holds tests as data:

  test \"a withdrawal above the balance is refused\"
  GIVEN transactions
    {\"account\": \"BradA\", \"kind\": \"deposit\", \"amount\": 100.00}
  WHEN CALL withdraw('BradA', 120.00, 'bob')
  THEN REFUSED 'insufficient funds'
  THEN ROWS SELECT account, balance FROM balances
    | BradA | 100.00 |

Each test begins with an empty log, in memory. AT and ADVANCE set the time, WHEN AT ONCE runs statements side by side.
docs/tests.md says all of it.

Exit codes: 0 all tests passed; 1 a test failed, a test file cannot be read, or the application has an error in it; 2 there is nothing to
run, or the command line is wrong.";

const REPLAY_EXAMPLES: &str = "\
All streams are cut at one moment: that of the time, or of the last event below the position. Events keep their offsets, append times, principals
and bytes. The folder also gets an app.sql with the definitions of then. A program on the copy does nothing of its own accord: pipelines,
schedules, retention and compaction stand still.

Examples:
  headwater replay --until '2025-11-23 09:00:00' --data /var/lib/bank --into /tmp/then
  headwater replay --until transactions/0@42 --data /var/lib/bank --into /tmp/then
  headwater replay --until '2025-11-23 09:00:00' --from 127.0.0.1:8090 --into /tmp/then
  headwater run /tmp/then --data /tmp/then --kafka none --http 127.0.0.1:0 --postgres 127.0.0.1:0";

const SQL_EXAMPLES: &str = "\
Examples:
  headwater sql 'SHOW VIEWS'
  headwater sql --format csv 'SELECT * FROM balances' > balances.csv
  headwater sql --file examples/bank/sample.sql
  echo 'SHOW STREAMS' | headwater sql --file -";

const EXPLAIN_EXAMPLES: &str = "\
Arguments that are left out have their defaults; NULL in capitals is NULL.

Examples:
  headwater explain-command withdraw account=BradA amount=5
  headwater explain-command --format json withdraw account=BradA amount=5 | jq .outcome

Exit code 0: it would be done; 1: it would be refused, or fail.";

/// One program for event-driven microservices: an append-only event stream, and everything that can be asked is a view folded from it.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What is written to standard error: a level (error, warn, info, debug, trace), or levels by part, as in 'warn,headwater_eventlog=debug'
    #[arg(
        long,
        global = true,
        env = "HEADWATER_LOG",
        hide_env_values = true,
        value_name = "FILTER"
    )]
    pub log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start an application: a folder with an app.sql, or one SQL file
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Look for errors in an application without starting it or touching its data
    Check {
        /// A folder with an app.sql, or one SQL file
        #[arg(value_name = "DIR|FILE.sql")]
        application: PathBuf,
    },
    /// Run the tests of an application: tests/*.test in its folder
    #[command(after_help = TEST_EXAMPLES)]
    Test(Test),
    /// Copy the history up to a moment, with the whole application, into a folder to run beside the live one
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Replay),
    /// Send SQL to a running program and print the answer
    #[command(after_help = SQL_EXAMPLES)]
    Sql(Sql),
    /// Say what a command would do, and why: which rows it reads, each LET, each REQUIRE and who says no. Nothing is appended
    #[command(after_help = EXPLAIN_EXAMPLES)]
    ExplainCommand(ExplainCommand),
    /// Look at the log of a stopped program
    #[command(subcommand)]
    Log(Log),
    /// Promised for later: hidden until it is there.
    #[command(hide = true)]
    Prove {
        /// Whatever was asked.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Promised for later: hidden until it is there.
    #[command(hide = true)]
    Verify {
        /// Whatever was asked.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

/// `headwater run`
#[derive(Debug, Args)]
pub struct Run {
    /// A folder with an app.sql, or one SQL file
    #[arg(value_name = "DIR|FILE.sql")]
    pub application: PathBuf,
    /// Where the log and the views live [default: ./headwater-data]
    #[arg(long, env = "HEADWATER_DATA", hide_env_values = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where Kafka clients connect; port 0 takes a free one, 'none' opens no door [default: 127.0.0.1:9092]
    #[arg(long, env = "HEADWATER_KAFKA", hide_env_values = true, value_name = "ADDRESS|none")]
    pub kafka: Option<String>,
    /// Where PostgreSQL clients connect [default: 127.0.0.1:5433]
    #[arg(
        long,
        env = "HEADWATER_POSTGRES",
        hide_env_values = true,
        value_name = "ADDRESS|none"
    )]
    pub postgres: Option<String>,
    /// Where services and browsers connect [default: 127.0.0.1:8090]
    #[arg(long, env = "HEADWATER_HTTP", hide_env_values = true, value_name = "ADDRESS|none")]
    pub http: Option<String>,
    /// The names, beside localhost and addresses, by which browsers and services of this machine ask at the HTTP door: bank.example. May be given more than once, or as a list with commas
    #[arg(
        long,
        env = "HEADWATER_HTTP_HOSTS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub http_hosts: Vec<String>,
    /// How long commands remember an idempotency key, such as '24 hours' [default: 24 hours]
    #[arg(
        long,
        env = "HEADWATER_IDEMPOTENCY_RETENTION",
        hide_env_values = true,
        value_name = "TIME"
    )]
    pub idempotency_retention: Option<String>,
    /// The memory of all entity indexes together, such as '128 MiB' [default: 64 MiB]
    #[arg(
        long,
        env = "HEADWATER_ENTITY_MEMORY_BYTES",
        hide_env_values = true,
        value_name = "SIZE"
    )]
    pub entity_memory_bytes: Option<String>,
    /// The most memory of one view, such as '1 GiB'; rows that do not fit are read from its store [default: 256 MiB]
    #[arg(
        long,
        env = "HEADWATER_VIEW_MEMORY_BYTES",
        hide_env_values = true,
        value_name = "SIZE"
    )]
    pub view_memory_bytes: Option<String>,
    /// How many appends may wait for their moment, each in about 100 bytes of memory [default: 4000000]
    #[arg(long, env = "HEADWATER_SCHEDULES_MAX", hide_env_values = true, value_name = "NUMBER")]
    pub schedules_max: Option<String>,
    /// How many events a rewind or a lineage may read, about a million a second [default: 1000000000]
    #[arg(
        long,
        env = "HEADWATER_REWIND_EVENTS_MAX",
        hide_env_values = true,
        value_name = "NUMBER"
    )]
    pub rewind_events_max: Option<String>,
    /// How the Kafka door behaves, by Kafka's own names: num.partitions=4. May be given more than once, or as a list with commas; docs/kafka.md has them all
    #[arg(
        long = "kafka-setting",
        env = "HEADWATER_KAFKA_SETTINGS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAME=VALUE"
    )]
    pub kafka_settings: Vec<String>,
}

/// `headwater test`
#[derive(Debug, Args)]
pub struct Test {
    /// A folder with an app.sql and a folder tests, or one SQL file beside it
    #[arg(value_name = "DIR")]
    pub application: PathBuf,
    /// Only tests whose file or name contains this text
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write the outcome as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How often a test with WHEN AT ONCE is run, each time in another order
    #[arg(long, value_name = "NUMBER", default_value_t = TEST_ROUNDS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
}

/// `headwater replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// Up to when: a time, in UTC unless it has a zone, or a position
    #[arg(long, value_name = "TIME|POSITION")]
    pub until: String,
    /// The folder of the copy; it must be empty, or not there
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// The data folder that is copied. Its program must be stopped
    #[arg(
        long,
        env = "HEADWATER_DATA",
        hide_env_values = true,
        default_value = "./headwater-data",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// Copy from a running program instead, by its HTTP door
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// Take what is left of streams that lost events of that time to compaction, retention or deletion
    #[arg(long)]
    pub with_gaps: bool,
}

/// `headwater sql`
#[derive(Debug, Args)]
pub struct Sql {
    /// Statements, separated by ';'
    #[arg(required_unless_present = "file", conflicts_with = "file", value_name = "SQL")]
    pub statements: Option<String>,
    /// Take the statements from a file; '-' is standard input
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The PostgreSQL door of the running program
    #[arg(
        long,
        env = "HEADWATER_TO",
        hide_env_values = true,
        default_value = "127.0.0.1:5433",
        value_name = "ADDRESS"
    )]
    pub to: String,
    /// How rows are printed
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// `headwater explain-command`
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// The command
    #[arg(value_name = "COMMAND")]
    pub command: String,
    /// Its arguments, by name
    #[arg(value_name = "PARAMETER=VALUE")]
    pub arguments: Vec<String>,
    /// The PostgreSQL door of the running program
    #[arg(
        long,
        env = "HEADWATER_TO",
        hide_env_values = true,
        default_value = "127.0.0.1:5433",
        value_name = "ADDRESS"
    )]
    pub to: String,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    pub format: Explained,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Explained {
    /// For reading
    Text,
    /// One JSON document
    Json,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for reading
    Table,
    /// Comma-separated values with a head line (RFC 4180); NULL is empty
    Csv,
    /// One JSON object a line
    Json,
}

/// `headwater log`
#[derive(Debug, Subcommand)]
pub enum Log {
    /// Read everything, change nothing, and name every damaged place. The program must be stopped
    Verify {
        /// The data folder
        #[arg(
            long,
            env = "HEADWATER_DATA",
            hide_env_values = true,
            default_value = "./headwater-data",
            value_name = "DIR"
        )]
        data: PathBuf,
    },
    /// Go on without what is damaged: cut it out, keep copies of every file that changes, leave everything that is whole. Without --yes it only says
    /// what is damaged. The program must be stopped
    Repair {
        /// The data folder
        #[arg(
            long,
            env = "HEADWATER_DATA",
            hide_env_values = true,
            default_value = "./headwater-data",
            value_name = "DIR"
        )]
        data: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

impl Run {
    /// Nothing but the application: everything else is for the settings file and the defaults to say.
    pub fn of(application: &std::path::Path) -> Run {
        Run {
            application: application.to_owned(),
            data: None,
            kafka: None,
            postgres: None,
            http: None,
            http_hosts: Vec::new(),
            idempotency_retention: None,
            entity_memory_bytes: None,
            view_memory_bytes: None,
            schedules_max: None,
            rewind_events_max: None,
            kafka_settings: Vec::new(),
        }
    }
}
