//! What the listeners tell the node.

use bytes::Bytes;
use weir_config::bootstrap::TlsVersion as Version;

use crate::listen::{Connection, Front, ListenerIndex, Refusal, Rejected};
use crate::node::Node;
use crate::request::{finish, reply};
use crate::telemetry::chance;
use crate::telemetry::labels::{ConnectionRejection, Driver, H2Abuse, TlsVersion};
use crate::telemetry::trace::RequestId;

impl Front for Node {
    fn refused(&self, connection: &Connection, refusal: &Refusal) -> Bytes {
        let id = RequestId::made([chance(), chance()]);
        let (status, answer) = reply::refuse_head(refusal, id.as_str());
        // A head that is no request has no driver; it is told as the one that reads heads on this listener.
        finish::refused(self, connection, refusal, status, &id, Driver::Pingora);
        answer
    }

    fn opened(&self, listener: ListenerIndex) {
        self.metrics.listener(listener.0.into()).opened();
    }

    fn closed(&self, listener: ListenerIndex) {
        self.metrics.listener(listener.0.into()).closed();
    }

    fn rejected(&self, listener: ListenerIndex, why: Rejected) {
        let cells = self.metrics.listener(listener.0.into());
        match why {
            Rejected::AcceptFailed | Rejected::TotalLimit => cells.rejected(ConnectionRejection::Limit),
            Rejected::ClientLimit => cells.rejected(ConnectionRejection::ClientLimit),
            Rejected::HandshakeTimeout => cells.rejected(ConnectionRejection::HandshakeTimeout),
            Rejected::HandshakeFailed => cells.rejected(ConnectionRejection::Handshake),
            Rejected::H2Handshake => cells.rejected(ConnectionRejection::Protocol),
            Rejected::H2Request => self.metrics.h2_abuse(H2Abuse::Rejected),
        }
    }

    fn handshake(&self, listener: ListenerIndex, version: Version) {
        self.metrics.listener(listener.0.into()).handshake(match version {
            Version::Tls12 => TlsVersion::V1_2,
            Version::Tls13 => TlsVersion::V1_3,
        });
    }

    fn panicked(&self) {
        self.metrics.panicked();
    }
}
