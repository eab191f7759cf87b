// sarama, its version set to the newest it knows, else with its default settings. Each check uses topics and groups of its own.
package main

import (
	"context"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var (
	background = context.Background()
	admin      = administrator()
)

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	return config
}

func administrator() sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin([]string{address}, config())
	must(err)
	return admin
}

func topic(name string, partitions int32, configs map[string]*string) {
	must(admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs}, false))
}

func refused(wanted error, err error) {
	expect(errors.Is(err, wanted), "refused with %v, not %v", err, wanted)
}

func producer(change func(*sarama.Config)) sarama.SyncProducer {
	config := config()
	if change != nil {
		change(config)
	}
	made, err := sarama.NewSyncProducer([]string{address}, config)
	must(err)
	return made
}

func messages(topic string, values []string) []*sarama.ProducerMessage {
	var made []*sarama.ProducerMessage
	for _, value := range values {
		made = append(made, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(value), Value: sarama.StringEncoder(value)})
	}
	return made
}

func send(topic string, values []string, change func(*sarama.Config)) {
	producer := producer(change)
	defer producer.Close()
	must(producer.SendMessages(messages(topic, values)))
}

// A member of a group: what came to it, and how many partitions it has.
type member struct {
	mutex  sync.Mutex
	got    []*sarama.ConsumerMessage
	shares int
	stop   func()
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.shares = 0
	for _, partitions := range session.Claims() {
		m.shares += len(partitions)
	}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.mutex.Lock()
		m.got = append(m.got, message)
		m.mutex.Unlock()
		session.MarkMessage(message, "")
	}
	return nil
}

func (m *member) values() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var values []string
	for _, message := range m.got {
		values = append(values, string(message.Value))
	}
	return values
}

func (m *member) has() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.shares
}

func join(group, topic string, change func(*sarama.Config)) *member {
	config := config()
	if change != nil {
		change(config)
	}
	consumer, err := sarama.NewConsumerGroup([]string{address}, group, config)
	must(err)
	context, cancel := context.WithCancel(background)
	joined, ended := &member{}, make(chan struct{})
	go func() {
		defer close(ended)
		for context.Err() == nil {
			if err := consumer.Consume(context, []string{topic}, joined); err != nil {
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	joined.stop = func() {
		cancel()
		<-ended
		must(consumer.Close())
	}
	return joined
}

// What comes to a member until there are so many, and a moment longer.
func read(group, topic string, count int, change func(*sarama.Config)) []string {
	joined := join(group, topic, change)
	defer joined.stop()
	eventually(func() bool { return len(joined.values()) >= count }, "not everything came")
	time.Sleep(300 * time.Millisecond)
	got := joined.values()
	expect(len(got) == count, "%d messages came, not %d", len(got), count)
	return got
}

func sorted(values []string) []string {
	sort.Strings(values)
	return values
}

func text(value string) *string { return &value }

func topics() {
	topic("made", 3, nil)
	refused(sarama.ErrTopicAlreadyExists, admin.CreateTopic("made", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	refused(sarama.ErrInvalidReplicationFactor, admin.CreateTopic("copies", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 3}, false))
	listed, err := admin.ListTopics()
	must(err)
	expect(listed["made"].NumPartitions == 3, "three partitions are listed")
	must(admin.DeleteTopic("made"))
	eventually(func() bool {
		listed, err := admin.ListTopics()
		_, there := listed["made"]
		return err == nil && !there
	}, "a deleted topic is gone")
}

func partitions() {
	topic("grows", 1, nil)
	must(admin.CreatePartitions("grows", 3, nil, false))
	eventually(func() bool {
		described, err := admin.DescribeTopics([]string{"grows"})
		return err == nil && len(described[0].Partitions) == 3
	}, "three partitions")
}

func produce() {
	topic("produced", 1, nil)
	moment := time.UnixMilli(1_700_000_000_000)
	for _, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal, sarama.WaitForAll} {
		producer := producer(func(config *sarama.Config) { config.Producer.RequiredAcks = acks })
		for _, value := range []sarama.Encoder{sarama.StringEncoder("a"), nil} {
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "produced", Key: sarama.StringEncoder("k"), Value: value, Timestamp: moment,
				Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte{1}}}})
			must(err)
		}
		must(producer.Close())
	}
	joined := join("produce-readers", "produced", nil)
	defer joined.stop()
	eventually(func() bool { return len(joined.values()) == 6 }, "six messages")
	for number, message := range joined.got {
		expect((len(message.Value) == 0) == (number%2 == 1), "values come back in order")
		expect(string(message.Key) == "k" && message.Timestamp.Equal(moment) && len(message.Headers) == 1, "keys, timestamps, headers come back: %v", message)
	}
}

func codecs() {
	topic("codecs", 1, nil)
	var expected []string
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
		sent := numbers(codec.String()+" text text text text text text ", 100)
		send("codecs", sent, func(config *sarama.Config) { config.Producer.Compression = codec })
		expected = append(expected, sent...)
	}
	expect(slices.Equal(read("codec-readers", "codecs", 500, nil), expected), "what was sent comes back")
}

func large() {
	topic("large", 1, nil)
	producer := producer(func(config *sarama.Config) { config.Producer.MaxMessageBytes = 5_000_000 })
	defer producer.Close()
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "large", Value: sarama.ByteEncoder(make([]byte, 2_000_000))})
	refused(sarama.ErrMessageSizeTooLarge, err)
	_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "large", Value: sarama.ByteEncoder(make([]byte, 900_000))})
	must(err)
	expect(offset == 0, "a smaller one is taken")
}

func offsets() {
	topic("timed", 1, nil)
	producer := producer(nil)
	defer producer.Close()
	for _, moment := range []int64{1_000, 2_000, 3_000} {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "timed", Value: sarama.StringEncoder("x"), Timestamp: time.UnixMilli(moment)})
		must(err)
	}
	client, err := sarama.NewClient([]string{address}, config())
	must(err)
	defer client.Close()
	for moment, offset := range map[int64]int64{sarama.OffsetOldest: 0, sarama.OffsetNewest: 3, 1_500: 1} {
		found, err := client.GetOffset("timed", 0, moment)
		must(err)
		expect(found == offset, "at %d is %d, not %d", moment, found, offset)
	}
}

func group() {
	topic("grouped", 4, nil)
	sent := numbers("g", 400)
	send("grouped", sent[:200], nil)
	first := read("group", "grouped", 200, nil)
	send("grouped", sent[200:], nil)
	broker("restart")
	rest := read("group", "grouped", 200, nil)
	expect(slices.Equal(sorted(append(first, rest...)), sent), "every value once")
}

// Two members share, one leaves, the other takes over.
func members(name string, change func(*sarama.Config)) {
	topic(name, 4, nil)
	joined := []*member{join(name+"-group", name, change)}
	eventually(func() bool { return joined[0].has() == 4 }, "one has all")
	joined = append(joined, join(name+"-group", name, change))
	eventually(func() bool { return joined[0].has() == 2 && joined[1].has() == 2 }, "two share")
	send(name, numbers("a", 100), nil)
	eventually(func() bool { return len(joined[0].values())+len(joined[1].values()) >= 100 }, "not everything came")
	expect(slices.Equal(sorted(append(joined[0].values(), joined[1].values()...)), numbers("a", 100)), "every value once")
	joined[0].stop()
	eventually(func() bool { return joined[1].has() == 4 }, "the one that is left has all")
	before := len(joined[1].values())
	send(name, numbers("b", 100), nil)
	eventually(func() bool { return len(joined[1].values())-before >= 100 }, "not everything came")
	joined[1].stop()
	expect(slices.Equal(sorted(joined[1].values()[before:]), numbers("b", 100)), "every value once")
}

func staticMember() {
	topic("stays", 4, nil)
	for range 2 {
		joined := join("static", "stays", func(config *sarama.Config) { config.Consumer.Group.InstanceId = "one" })
		eventually(func() bool { return joined.has() == 4 }, "all partitions are its own")
		joined.stop()
		described, err := admin.DescribeConsumerGroups([]string{"static"})
		must(err)
		expect(len(described[0].Members) == 1, "a static member that goes away keeps its place")
	}
}

func groupsAdmin() {
	topic("administered", 1, nil)
	send("administered", numbers("", 10), nil)
	joined := join("looked-at", "administered", nil)
	eventually(func() bool { return len(joined.values()) == 10 }, "ten messages")
	described, err := admin.DescribeConsumerGroups([]string{"looked-at"})
	must(err)
	expect(described[0].State == "Stable" && len(described[0].Members) == 1, "described as %v", described[0])
	joined.stop()
	listed, err := admin.ListConsumerGroups()
	must(err)
	_, there := listed["looked-at"]
	expect(there, "it is listed")
	committed, err := admin.ListConsumerGroupOffsets("looked-at", map[string][]int32{"administered": {0}})
	must(err)
	expect(committed.GetBlock("administered", 0).Offset == 10, "the committed offset")
	must(admin.DeleteConsumerGroupOffset("looked-at", "administered", 0))
	must(admin.DeleteConsumerGroup("looked-at"))
	refused(sarama.ErrGroupIDNotFound, admin.DeleteConsumerGroup("looked-at"))
}

func reliable(config *sarama.Config) {
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Retry.Max = 100
	config.Producer.Retry.Backoff = 100 * time.Millisecond
	config.Metadata.Retry.Max = 100
	config.Net.MaxOpenRequests = 1
}

func idempotent() {
	topic("once", 1, nil)
	producer := producer(reliable)
	defer producer.Close()
	sent := numbers("i", 600)
	for number, value := range sent {
		killed := make(chan struct{})
		if number == 200 || number == 400 {
			go func() { broker("kill"); close(killed) }()
		} else {
			close(killed)
		}
		must(producer.SendMessages(messages("once", []string{value})))
		<-killed
	}
	expect(slices.Equal(read("once-readers", "once", 600, nil), sent), "every value once and in order")
}

func transactional(id string) sarama.SyncProducer {
	return producer(func(config *sarama.Config) {
		reliable(config)
		config.Producer.Transaction.ID = id
	})
}

func readCommitted(config *sarama.Config) { config.Consumer.IsolationLevel = sarama.ReadCommitted }

func transactions() {
	topic("in-transactions", 1, nil)
	producer := transactional("writer")
	var expected []string
	for number := range 6 {
		must(producer.BeginTxn())
		now := numbers("t"+string(rune('0'+number))+" ", 20)
		must(producer.SendMessages(messages("in-transactions", now)))
		if number%3 == 1 {
			must(producer.AbortTxn())
		} else {
			must(producer.CommitTxn())
			expected = append(expected, now...)
		}
	}
	must(producer.Close())
	expect(slices.Equal(read("committed", "in-transactions", 80, readCommitted), expected), "what was committed, and nothing else")
	read("uncommitted", "in-transactions", 120, nil)
}

func transactionalOffsets() {
	topic("from", 1, nil)
	topic("to", 1, nil)
	producer := transactional("copier")
	for _, commit := range []bool{true, false} {
		offset := map[bool]int64{true: 20, false: 50}[commit]
		must(producer.BeginTxn())
		must(producer.SendMessages(messages("to", []string{map[bool]string{true: "kept", false: "lost"}[commit]})))
		must(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{"from": {{Partition: 0, Offset: offset, LeaderEpoch: -1}}}, "copiers"))
		if commit {
			must(producer.CommitTxn())
		} else {
			must(producer.AbortTxn())
		}
	}
	must(producer.Close())
	committed, err := admin.ListConsumerGroupOffsets("copiers", map[string][]int32{"from": {0}})
	must(err)
	expect(committed.GetBlock("from", 0).Offset == 20, "committed is %d", committed.GetBlock("from", 0).Offset)
	expect(slices.Equal(read("copied", "to", 1, readCommitted), []string{"kept"}), "what was committed")
}

func fencing() {
	topic("fenced", 1, nil)
	older := transactional("twice")
	must(older.BeginTxn())
	must(older.SendMessages(messages("fenced", []string{"old"})))
	newer := transactional("twice")
	expect(older.CommitTxn() != nil, "the older one was not fenced")
	must(newer.BeginTxn())
	must(newer.SendMessages(messages("fenced", []string{"new"})))
	must(newer.CommitTxn())
	expect(slices.Equal(read("fence-readers", "fenced", 1, readCommitted), []string{"new"}), "what the newer one wrote")
}

func configs() {
	topic("configured", 1, map[string]*string{"cleanup.policy": text("compact")})
	value := func(name string) string {
		described, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "configured", ConfigNames: []string{name}})
		must(err)
		return described[0].Value
	}
	expect(value("cleanup.policy") == "compact", "as it was created")
	must(admin.IncrementalAlterConfig(sarama.TopicResource, "configured", map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: text("7200000")}}, false))
	eventually(func() bool { return value("retention.ms") == "7200000" }, "as it was altered")
}

func deleteRecords() {
	topic("shortened", 1, nil)
	send("shortened", numbers("", 10), nil)
	must(admin.DeleteRecords("shortened", map[int32]int64{0: 4}))
	expect(slices.Equal(read("shortened-readers", "shortened", 6, nil), numbers("", 10)[4:]), "from the new start on")
}

func cluster() {
	brokers, controller, err := admin.DescribeCluster()
	must(err)
	expect(len(brokers) == 1 && brokers[0].ID() == controller, "one broker, which is the controller")
}

func logDirs() {
	described, err := admin.DescribeLogDirs([]int32{1})
	must(err)
	expect(len(described[1]) > 0, "a folder")
}

func quotas() {
	client := []sarama.QuotaEntityComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Name: "slow"}}
	must(admin.AlterClientQuotas(client, sarama.ClientQuotasOp{Key: "producer_byte_rate", Value: 100_000}, false))
	asked := []sarama.QuotaFilterComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Match: "slow"}}
	eventually(func() bool {
		described, err := admin.DescribeClientQuotas(asked, true)
		return err == nil && len(described) == 1 && described[0].Values["producer_byte_rate"] == 100_000
	}, "as it was set")
	must(admin.AlterClientQuotas(client, sarama.ClientQuotasOp{Key: "producer_byte_rate", Remove: true}, false))
}

func main() {
	sticky := func(config *sarama.Config) {
		config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	}
	runChecks([]check{
		{"topics", topics},
		{"partitions", partitions},
		{"produce", produce},
		{"codecs", codecs},
		{"large", large},
		{"offsets", offsets},
		{"group", group},
		{"rebalance", func() { members("eager", nil); members("sticky", sticky) }},
		{"static", staticMember},
		{"groups-admin", groupsAdmin},
		{"idempotent", idempotent},
		{"transactions", transactions},
		{"transactional-offsets", transactionalOffsets},
		{"fencing", fencing},
		{"configs", configs},
		{"delete-records", deleteRecords},
		{"cluster", cluster},
		{"log-dirs", logDirs},
		{"quotas", quotas},
	})
}
