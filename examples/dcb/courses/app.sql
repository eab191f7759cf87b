-- Students subscribe to courses. A course has so many places, and the number may change; a student takes five courses at most.

-- A subscription is about a course and about a student: it carries a tag of each.
CREATE STREAM enrolments (
  kind     TEXT NOT NULL,
  course   TEXT NOT NULL,
  student  TEXT,
  capacity INTEGER
) KEY (course) KIND (kind) TAGS (course, student);

-- How many took each course, and the last word on how many may.
CREATE MATERIALIZED VIEW courses STORED AS document AS
SELECT course,
       count(*) FILTER (WHERE kind = 'student_subscribed') AS taken,
       max(named_struct('at', _appended_at, 'nth', _offset, 'capacity', capacity)) FILTER (WHERE kind <> 'student_subscribed') AS latest
FROM enrolments
GROUP BY course;

CREATE MATERIALIZED VIEW students STORED AS document AS
SELECT student, count(*) AS courses
FROM enrolments
WHERE kind = 'student_subscribed'
GROUP BY student;

CREATE MATERIALIZED VIEW subscriptions STORED AS document AS
SELECT course, student, count(*) AS times
FROM enrolments
WHERE kind = 'student_subscribed'
GROUP BY course, student;

CREATE COMMAND define_course (course TEXT, capacity INTEGER)
INTO enrolments
REQUIRE capacity > 0 ELSE 'a course has at least one place' CODE 'no_places'
REQUIRE NOT EXISTS (SELECT 1 FROM courses c WHERE c.course = define_course.course) ELSE 'there is a course {course} already' CODE 'course_exists'
AS SELECT 'course_defined' AS kind, course, NULL AS student, capacity;

CREATE COMMAND change_capacity (course TEXT, capacity INTEGER)
INTO enrolments
REQUIRE capacity > 0 ELSE 'a course has at least one place' CODE 'no_places'
REQUIRE EXISTS (SELECT 1 FROM courses c WHERE c.course = change_capacity.course) ELSE 'there is no such course' CODE 'no_such_course'
REQUIRE (SELECT c.latest['capacity'] FROM courses c WHERE c.course = change_capacity.course) <> capacity ELSE '{capacity} is the capacity already' CODE 'same_capacity'
AS SELECT 'capacity_changed' AS kind, course, NULL AS student, capacity;

CREATE COMMAND subscribe (course TEXT, student TEXT)
INTO enrolments
REQUIRE EXISTS (SELECT 1 FROM courses c WHERE c.course = subscribe.course) ELSE 'there is no such course' CODE 'no_such_course'
REQUIRE (SELECT c.taken < c.latest['capacity'] FROM courses c WHERE c.course = subscribe.course) ELSE 'the course is fully booked' CODE 'fully_booked'
REQUIRE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.course = subscribe.course AND s.student = subscribe.student)
  ELSE 'the student takes this course already' CODE 'already_subscribed'
REQUIRE coalesce((SELECT s.courses FROM students s WHERE s.student = subscribe.student), 0) < 5 ELSE 'the student takes five courses already' CODE 'too_many_courses'
AS SELECT 'student_subscribed' AS kind, course, student, NULL AS capacity;
