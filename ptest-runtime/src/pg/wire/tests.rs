//! Every message that ptest writes or reads for itself, beside the same of postgres-protocol.

use bytes::{Bytes, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message as Theirs;
use postgres_protocol::message::frontend as theirs;

use super::backend::{Authentication, Message, fields, values};
use super::frontend as ours;

/// What both write.
#[track_caller]
fn same(ours: impl FnOnce(&mut BytesMut), theirs: impl FnOnce(&mut BytesMut)) {
    let (mut a, mut b) = (BytesMut::new(), BytesMut::new());
    ours(&mut a);
    theirs(&mut b);
    assert_eq!(a, b);
}

#[test]
fn what_a_client_sends() {
    let parameters = [("user", "ada"), ("database", "größer"), ("options", "")];
    same(|b| ours::startup(b, parameters.into_iter()), |b| theirs::startup_message(parameters, b).unwrap());
    same(ours::ssl_request, theirs::ssl_request);
    same(|b| ours::cancel_request(b, -7, i32::MAX), |b| theirs::cancel_request(-7, i32::MAX, b));
    same(|b| ours::password(b, "let me in"), |b| theirs::password_message(b"let me in", b).unwrap());
    same(|b| ours::sasl_initial(b, "X", "n,,"), |b| theirs::sasl_initial_response("X", b"n,,", b).unwrap());
    same(|b| ours::sasl(b, "c=biws"), |b| theirs::sasl_response(b"c=biws", b).unwrap());
    same(|b| ours::query(b, "select 'ä'"), |b| theirs::query("select 'ä'", b).unwrap());
    same(
        |b| ours::execute(b, "select 1"),
        |b| {
            theirs::parse("", "select 1", [], b).unwrap();
            let none = std::iter::empty::<()>();
            assert!(theirs::bind("", "", [], none, |(), _| Ok(IsNull::Yes), [], b).is_ok());
            theirs::execute("", 0, b).unwrap();
        },
    );
    same(ours::sync, theirs::sync);
    same(ours::terminate, theirs::terminate);
}

/// One message, as both read it.
fn both(tag: u8, body: &[u8]) -> (Message, Theirs) {
    let mut bytes = BytesMut::new();
    super::put(&mut bytes, tag, |b| b.extend_from_slice(body));
    let mut same = bytes.clone();
    let read = (Message::parse(&mut bytes).unwrap().unwrap(), Theirs::parse(&mut same).unwrap().unwrap());
    assert!(bytes.is_empty() && same.is_empty());
    read
}

fn authentication(body: &[u8]) -> (Authentication, Theirs) {
    match both(b'R', body) {
        (Message::Authentication(ours), theirs) => (ours, theirs),
        other => panic!("{:?}", other.0),
    }
}

#[test]
fn what_a_server_asks() {
    assert!(matches!(authentication(b"\0\0\0\0"), (Authentication::Ok, Theirs::AuthenticationOk)));
    let cleartext = authentication(b"\0\0\0\x03");
    assert!(matches!(cleartext, (Authentication::CleartextPassword, Theirs::AuthenticationCleartextPassword)));
    match authentication(b"\0\0\0\x05\x01\x02\x03\xff") {
        (Authentication::Md5Password { salt }, Theirs::AuthenticationMd5Password(body)) => {
            assert_eq!(salt, body.salt());
        }
        other => panic!("{:?}", other.0),
    }
    match authentication(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0") {
        (Authentication::Sasl(names), Theirs::AuthenticationSasl(body)) => {
            assert_eq!(names, fallible_iterator::FallibleIterator::collect::<Vec<_>>(body.mechanisms()).unwrap());
        }
        other => panic!("{:?}", other.0),
    }
    match authentication(b"\0\0\0\x0br=1,s=2") {
        (Authentication::SaslContinue(data), Theirs::AuthenticationSaslContinue(body)) => assert_eq!(data, body.data()),
        other => panic!("{:?}", other.0),
    }
    match authentication(b"\0\0\0\x0cv=1") {
        (Authentication::SaslFinal(data), Theirs::AuthenticationSaslFinal(body)) => assert_eq!(data, body.data()),
        other => panic!("{:?}", other.0),
    }
    assert!(matches!(authentication(b"\0\0\0\x07"), (Authentication::Other(7), Theirs::AuthenticationGss)));
}

#[test]
fn what_a_server_answers() {
    match both(b'S', b"TimeZone\0UTC\0") {
        (Message::ParameterStatus { name, value }, Theirs::ParameterStatus(body)) => {
            assert_eq!((name.as_str(), value.as_str()), (body.name().unwrap(), body.value().unwrap()));
        }
        other => panic!("{:?}", other.0),
    }
    match both(b'K', b"\0\0\x12\x34\xff\0\0\x01") {
        (Message::BackendKeyData { process, secret }, Theirs::BackendKeyData(body)) => {
            assert_eq!((process, secret), (body.process_id(), body.secret_key()));
        }
        other => panic!("{:?}", other.0),
    }
    assert!(matches!(both(b'Z', b"T"), (Message::ReadyForQuery, Theirs::ReadyForQuery(_))));
    assert!(matches!(both(b'C', b"SELECT 1\0"), (Message::CommandComplete, Theirs::CommandComplete(_))));
    assert!(matches!(both(b'I', b""), (Message::Other(b'I'), Theirs::EmptyQueryResponse)));
    match both(b'D', b"\0\x03\0\0\0\x02\xc3\xa4\xff\xff\xff\xff\0\0\0\0") {
        (Message::DataRow(row), Theirs::DataRow(body)) => {
            let ranges: Vec<_> = fallible_iterator::FallibleIterator::collect(body.ranges()).unwrap();
            let text = |range| std::str::from_utf8(&body.buffer()[range]).unwrap().to_owned();
            let theirs: Vec<_> = ranges.into_iter().map(|range| range.map(text)).collect();
            assert_eq!(values(row).unwrap(), theirs);
        }
        other => panic!("{:?}", other.0),
    }
    match both(b'E', b"SERROR\0VERROR\0C42P01\0Mno such table\0P15\0\0") {
        (Message::ErrorResponse(body), Theirs::ErrorResponse(its)) => {
            let read = |field: postgres_protocol::message::backend::ErrorField<'_>| {
                Ok((field.type_(), String::from_utf8(field.value_bytes().to_vec()).unwrap()))
            };
            let fields_of_theirs = fallible_iterator::FallibleIterator::map(its.fields(), read);
            let theirs: Vec<_> = fallible_iterator::FallibleIterator::collect(fields_of_theirs).unwrap();
            assert_eq!(fields(body).collect::<Vec<_>>(), theirs);
        }
        other => panic!("{:?}", other.0),
    }
}

#[test]
fn a_message_waits_until_it_is_whole() {
    let whole = b"S\0\0\0\x08a\0b\0";
    for end in 0..whole.len() {
        assert!(Message::parse(&mut BytesMut::from(&whole[..end])).unwrap().is_none(), "{end}");
    }
    assert!(Message::parse(&mut BytesMut::from(&whole[..])).unwrap().is_some());
}

#[test]
fn what_is_cut_short_is_an_error() {
    for bytes in [&b"S\0\0\0\x05a"[..], b"K\0\0\0\x08\0\0\0\x01", b"R\0\0\0\x05\0", b"D\0\0\0\x03"] {
        assert!(Message::parse(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
    }
    assert!(values(Bytes::from_static(b"\0\x01\0\0\0\x05abc")).is_err());
}
