// franz-go with its default settings. Each check uses topics and groups of its own.
package main

import (
	"context"
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	background = context.Background()
	admin      = kadm.NewClient(client())
)

func client(more ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(more, kgo.SeedBrokers(address))...)
	must(err)
	return made
}

// The broker ends and comes back. An administrator's connections that saw nothing of it fail once: new ones.
func ended(what string) {
	broker(what)
	admin.Close()
	admin = kadm.NewClient(client())
}

func topic(name string, partitions int32, configs map[string]*string) {
	made, err := admin.CreateTopic(background, partitions, -1, configs, name)
	must(err)
	must(made.Err)
}

func refused(wanted error, err error) {
	expect(errors.Is(err, wanted), "refused with %v, not %v", err, wanted)
}

func records(topic string, values []string) []*kgo.Record {
	var made []*kgo.Record
	for _, value := range values {
		made = append(made, &kgo.Record{Topic: topic, Key: []byte(value), Value: []byte(value)})
	}
	return made
}

func send(topic string, values []string, more ...kgo.Opt) {
	producer := client(more...)
	defer producer.Close()
	must(producer.ProduceSync(background, records(topic, values)...).FirstErr())
}

func reader(group, topic string, more ...kgo.Opt) *kgo.Client {
	return client(append(more, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
}

// Polls readers in turn until so many records came.
func read(count int, readers ...*kgo.Client) []*kgo.Record {
	var got []*kgo.Record
	for until := time.Now().Add(patience); len(got) < count && time.Now().Before(until); {
		for _, reader := range readers {
			got = append(got, poll(reader, 200*time.Millisecond, count-len(got))...)
			if len(got) == count {
				break
			}
		}
	}
	expect(len(got) == count, "%d of %d records came", len(got), count)
	return got
}

func poll(reader *kgo.Client, wait time.Duration, most int) []*kgo.Record {
	context, cancel := context.WithTimeout(background, wait)
	defer cancel()
	return reader.PollRecords(context, most).Records()
}

func nothingMore(reader *kgo.Client) {
	expect(len(poll(reader, time.Second, 1)) == 0, "more came than was produced")
}

func values(records []*kgo.Record) []string {
	var values []string
	for _, record := range records {
		values = append(values, string(record.Value))
	}
	return values
}

func sorted(values []string) []string {
	sort.Strings(values)
	return values
}

func text(value string) *string { return &value }

func topics() {
	topic("made", 3, nil)
	again, err := admin.CreateTopic(background, 1, -1, nil, "made")
	must(errors.Join(ignore(err, kerr.TopicAlreadyExists)))
	refused(kerr.TopicAlreadyExists, again.Err)
	copies, _ := admin.CreateTopic(background, 1, 3, nil, "copies")
	refused(kerr.InvalidReplicationFactor, copies.Err)
	listed, err := admin.ListTopics(background)
	must(err)
	expect(len(listed["made"].Partitions) == 3, "three partitions are listed")
	gone, err := admin.DeleteTopics(background, "made")
	must(err)
	must(gone["made"].Err)
	eventually(func() bool { listed, _ := admin.ListTopics(background); return !listed.Has("made") }, "a deleted topic is gone")
}

func ignore(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}

func partitions() {
	topic("grows", 1, nil)
	_, err := admin.UpdatePartitions(background, 3, "grows")
	must(err)
	eventually(func() bool {
		listed, _ := admin.ListTopics(background, "grows")
		return len(listed["grows"].Partitions) == 3
	}, "three partitions")
}

func produce() {
	topic("produced", 1, nil)
	moment := time.UnixMilli(1_700_000_000_000)
	for _, acks := range [][]kgo.Opt{{kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()}, {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}, {}} {
		producer := client(acks...)
		for _, value := range [][]byte{[]byte("a"), nil} {
			record := &kgo.Record{Topic: "produced", Key: []byte("k"), Value: value, Timestamp: moment, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{1}}, {Key: "none"}}}
			must(producer.ProduceSync(background, record).FirstErr())
		}
		producer.Close()
	}
	reader := reader("produce-readers", "produced")
	defer reader.Close()
	for number, record := range read(6, reader) {
		expect((record.Value == nil) == (number%2 == 1), "values come back in order")
		expect(string(record.Key) == "k" && record.Timestamp.Equal(moment) && len(record.Headers) == 2 && record.Headers[1].Value == nil, "keys, timestamps, headers come back: %v", record)
	}
}

func codecs() {
	topic("codecs", 1, nil)
	var expected []string
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		sent := numbers(name+" text text text text text text ", 100)
		send("codecs", sent, kgo.ProducerBatchCompression(codec))
		expected = append(expected, sent...)
	}
	reader := reader("codec-readers", "codecs")
	defer reader.Close()
	expect(slices.Equal(values(read(500, reader)), expected), "what was sent comes back")
}

func large() {
	topic("large", 1, nil)
	producer := client(kgo.ProducerBatchMaxBytes(5_000_000))
	defer producer.Close()
	err := producer.ProduceSync(background, &kgo.Record{Topic: "large", Value: make([]byte, 2_000_000), Key: []byte("k")}).FirstErr()
	expect(err == nil || errors.Is(err, kerr.MessageTooLarge), "two megabytes of nothing, compressed: %v", err)
	err = client(kgo.ProducerBatchMaxBytes(5_000_000), kgo.ProducerBatchCompression(kgo.NoCompression())).ProduceSync(background, &kgo.Record{Topic: "large", Value: make([]byte, 2_000_000)}).FirstErr()
	refused(kerr.MessageTooLarge, err)
	must(producer.ProduceSync(background, &kgo.Record{Topic: "large", Value: make([]byte, 900_000)}).FirstErr())
}

func offsets() {
	topic("timed", 1, nil)
	for _, moment := range []int64{1_000, 2_000, 3_000} {
		producer := client()
		must(producer.ProduceSync(background, &kgo.Record{Topic: "timed", Value: []byte("x"), Timestamp: time.UnixMilli(moment)}).FirstErr())
		producer.Close()
	}
	at := func(listed kadm.ListedOffsets, err error) int64 {
		must(err)
		found, _ := listed.Lookup("timed", 0)
		return found.Offset
	}
	expect(at(admin.ListStartOffsets(background, "timed")) == 0, "the start")
	expect(at(admin.ListEndOffsets(background, "timed")) == 3, "the end")
	expect(at(admin.ListOffsetsAfterMilli(background, 1_500, "timed")) == 1, "the first from 1,500 on")
	expect(at(admin.ListMaxTimestampOffsets(background, "timed")) == 2, "the newest")
}

func group() {
	topic("grouped", 4, nil)
	sent := numbers("g", 400)
	send("grouped", sent)
	one := reader("group", "grouped")
	first := read(200, one)
	must(one.CommitRecords(background, first...))
	one.Close()
	ended("restart")
	two := reader("group", "grouped")
	defer two.Close()
	rest := read(200, two)
	nothingMore(two)
	expect(slices.Equal(sorted(append(values(first), values(rest)...)), sent), "every value once")
}

// Two members share, one leaves, the other takes over: each record to one of them, none lost.
func members(name string, more ...kgo.Opt) {
	topic(name, 4, nil)
	var readers []*kgo.Client
	for stage, wanted := range [][]int{{4}, {2, 2}, {4}} {
		if stage < 2 {
			readers = append(readers, reader(name+"-group", name, more...))
		} else {
			readers[0].Close()
			readers = readers[1:]
		}
		eventually(func() bool {
			described, err := admin.DescribeGroups(background, name+"-group")
			if err != nil || described[name+"-group"].State != "Stable" {
				modern, err := admin.DescribeConsumerGroups(background, name+"-group")
				if err != nil || modern[name+"-group"].State != "Stable" || len(modern[name+"-group"].Members) != len(wanted) {
					for _, reader := range readers {
						expect(len(poll(reader, 100*time.Millisecond, 1)) == 0, "nothing is there yet")
					}
					return false
				}
				return true
			}
			return len(described[name+"-group"].Members) == len(wanted)
		}, "the members share")
		now := numbers(string(rune('0'+stage))+" ", 100)
		send(name, now)
		expect(slices.Equal(sorted(values(read(100, readers...))), now), "stage %d: every value once", stage)
		for _, reader := range readers {
			must(reader.CommitUncommittedOffsets(background))
		}
	}
	readers[0].Close()
}

func regex() {
	for _, name := range []string{"match-a", "match-b", "other"} {
		topic(name, 1, nil)
		send(name, []string{name})
	}
	reader := reader("by-pattern", "^match-.*", kgo.ConsumeRegex())
	defer reader.Close()
	expect(slices.Equal(sorted(values(read(2, reader))), []string{"match-a", "match-b"}), "both topics that match")
	nothingMore(reader)
}

func groupsAdmin() {
	topic("administered", 1, nil)
	send("administered", numbers("", 10))
	one := reader("looked-at", "administered")
	must(one.CommitRecords(background, read(10, one)...))
	described, err := admin.DescribeGroups(background, "looked-at")
	must(err)
	expect(described["looked-at"].State == "Stable" && len(described["looked-at"].Members) == 1, "described as %v", described)
	one.Close()
	listed, err := admin.ListGroups(background)
	must(err)
	expect(contains(listed.Groups(), "looked-at"), "it is listed")
	committed := func() int64 {
		fetched, err := admin.FetchOffsets(background, "looked-at")
		must(err)
		found, there := fetched.Lookup("administered", 0)
		if !there {
			return -1
		}
		return found.At
	}
	expect(committed() == 10, "the committed offset")
	moved := kadm.Offsets{}
	moved.AddOffset("administered", 0, 5, -1)
	must(admin.CommitAllOffsets(background, "looked-at", moved))
	expect(committed() == 5, "the altered offset")
	places := kadm.TopicsSet{}
	places.Add("administered", 0)
	_, err = admin.DeleteOffsets(background, "looked-at", places)
	must(err)
	expect(committed() == -1, "the deleted offset")
	gone, err := admin.DeleteGroups(background, "looked-at")
	must(err)
	must(gone.Error())
}

func idempotent() {
	topic("once", 1, nil)
	producer := client(kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	sent := numbers("i", 3_000)
	all := records("once", sent)
	// It has its producer id before the broker is ended: this client takes a connection that ends before its first answer for a missing login.
	must(producer.ProduceSync(background, all[0]).FirstErr())
	failed := make(chan error, len(sent)-1)
	for number, record := range all[1:] {
		producer.Produce(background, record, func(_ *kgo.Record, err error) { failed <- err })
		if number == 1_000 || number == 2_000 {
			ended("kill")
		}
	}
	for range all[1:] {
		must(<-failed)
	}
	producer.Close()
	reader := reader("once-readers", "once")
	defer reader.Close()
	expect(slices.Equal(values(read(3_000, reader)), sent), "every value once and in order")
	nothingMore(reader)
}

func transactions() {
	topic("in-transactions", 2, nil)
	producer := client(kgo.TransactionalID("writer"))
	var expected []string
	for number := range 6 {
		must(producer.BeginTransaction())
		now := numbers("t"+string(rune('0'+number))+" ", 20)
		must(producer.ProduceSync(background, records("in-transactions", now)...).FirstErr())
		commit := number%3 != 1
		must(producer.EndTransaction(background, kgo.TransactionEndTry(commit)))
		if commit {
			expected = append(expected, now...)
		}
	}
	producer.Close()
	committed := reader("committed", "in-transactions", kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer committed.Close()
	expect(slices.Equal(sorted(values(read(80, committed))), expected), "what was committed, and nothing else")
	nothingMore(committed)
	all := reader("uncommitted", "in-transactions")
	defer all.Close()
	read(120, all)
}

func transactionalOffsets() {
	topic("from", 1, nil)
	topic("to", 1, nil)
	send("from", numbers("", 50))
	for _, commit := range []bool{true, false, true} {
		session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(address), kgo.TransactionalID("copier"), kgo.ConsumerGroup("copiers"), kgo.ConsumeTopics("from"),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		must(err)
		context, cancel := context.WithTimeout(background, patience)
		got := session.PollRecords(context, 20).Records()
		expect(len(got) > 0, "records came")
		must(session.Begin())
		must(session.ProduceSync(background, records("to", values(got))...).FirstErr())
		committed, err := session.End(context, kgo.TransactionEndTry(commit))
		must(err)
		expect(committed == commit, "ended as asked")
		cancel()
		session.Close()
	}
	copied := reader("copied", "to", kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer copied.Close()
	expect(slices.Equal(values(read(40, copied)), numbers("", 40)), "every value once")
	nothingMore(copied)
}

func fencing() {
	topic("fenced", 1, nil)
	older := client(kgo.TransactionalID("twice"))
	must(older.BeginTransaction())
	must(older.ProduceSync(background, records("fenced", []string{"old"})...).FirstErr())
	newer := client(kgo.TransactionalID("twice"))
	must(newer.BeginTransaction())
	must(newer.ProduceSync(background, records("fenced", []string{"new"})...).FirstErr())
	err := older.EndTransaction(background, kgo.TryCommit)
	expect(errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch), "fenced with %v", err)
	must(newer.EndTransaction(background, kgo.TryCommit))
	reader := reader("fence-readers", "fenced", kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer reader.Close()
	expect(slices.Equal(values(read(1, reader)), []string{"new"}), "what the newer one wrote")
}

func transactionsAdmin() {
	topic("watched", 1, nil)
	producer := client(kgo.TransactionalID("watched-writer"))
	must(producer.BeginTransaction())
	must(producer.ProduceSync(background, records("watched", []string{"open"})...).FirstErr())
	described, err := admin.DescribeTransactions(background, "watched-writer")
	must(err)
	expect(described["watched-writer"].State == "Ongoing", "described as %v", described)
	listed, err := admin.ListTransactions(background, nil, nil)
	must(err)
	expect(contains(listed.TransactionalIDs(), "watched-writer"), "it is listed")
	must(producer.EndTransaction(background, kgo.TryCommit))
}

func configs() {
	topic("configured", 1, map[string]*string{"cleanup.policy": text("compact")})
	value := func(name string) string {
		described, err := admin.DescribeTopicConfigs(background, "configured")
		must(err)
		for _, config := range described[0].Configs {
			if config.Key == name {
				return config.MaybeValue()
			}
		}
		return ""
	}
	expect(value("cleanup.policy") == "compact", "as it was created")
	_, err := admin.AlterTopicConfigs(background, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: text("7200000")}}, "configured")
	must(err)
	eventually(func() bool { return value("retention.ms") == "7200000" }, "as it was altered")
}

func deleteRecords() {
	topic("shortened", 1, nil)
	send("shortened", numbers("", 10))
	places := kadm.Offsets{}
	places.AddOffset("shortened", 0, 4, -1)
	_, err := admin.DeleteRecords(background, places)
	must(err)
	reader := reader("shortened-readers", "shortened")
	defer reader.Close()
	expect(slices.Equal(values(read(6, reader)), numbers("", 10)[4:]), "from the new start on")
}

func cluster() {
	metadata, err := admin.BrokerMetadata(background)
	must(err)
	expect(len(metadata.Brokers) == 1 && metadata.Controller == metadata.Brokers[0].NodeID, "one broker, which is the controller")
}

func logDirs() {
	topic("somewhere", 1, nil)
	send("somewhere", numbers("", 10))
	described, err := admin.DescribeAllLogDirs(background, nil)
	must(err)
	found := false
	described.Each(func(dir kadm.DescribedLogDir) {
		if _, there := dir.Topics.Lookup("somewhere", 0); there {
			found = true
		}
	})
	expect(found, "where it lies: %v", described)
}

func main() {
	runChecks([]check{
		{"topics", topics},
		{"partitions", partitions},
		{"produce", produce},
		{"codecs", codecs},
		{"large", large},
		{"offsets", offsets},
		{"group", group},
		{"rebalance", func() { members("eager", kgo.Balancers(kgo.RangeBalancer())) }},
		{"cooperative", func() { members("cooperating", kgo.Balancers(kgo.CooperativeStickyBalancer())) }},
		{"regex", regex},
		{"groups-admin", groupsAdmin},
		{"idempotent", idempotent},
		{"transactions", transactions},
		{"transactional-offsets", transactionalOffsets},
		{"fencing", fencing},
		{"transactions-admin", transactionsAdmin},
		{"configs", configs},
		{"delete-records", deleteRecords},
		{"cluster", cluster},
		{"log-dirs", logDirs},
	})
}
