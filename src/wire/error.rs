//! What goes wrong in the protocol itself.

use crate::error::{ReportError, SqlState};

/// A client that breaks the protocol or a limit of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    /// A length word that no message has.
    #[error("invalid message length")]
    MessageLength,
    /// A start-up packet of an impossible length.
    #[error("invalid length of startup packet")]
    StartupLength,
    /// A start-up packet that does not end where it should, or lacks a part.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    StartupLayout,
    /// A start-up packet without a user.
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    /// `options` that are not `-c name=value`.
    #[error("invalid command-line argument for server process: {0}")]
    StartupOption(String),
    /// An option without a value.
    #[error("{0} requires a value")]
    StartupOptionValue(String),
    /// Protocol 1 or 2, or one from the future.
    #[error("unsupported frontend protocol {0}.{1}: server supports 3.0 to 3.2")]
    Version(u16, u16),
    /// A client that wants the write-ahead log.
    #[error("replication connections are not supported")]
    Replication,
    /// Bytes behind an SSLRequest that came before the handshake.
    #[error("received unencrypted data after SSL request")]
    DataBeforeTls,
    /// A handshake for a protocol that was not named.
    #[error("received direct SSL connection request without ALPN protocol negotiation extension")]
    DirectTlsWithoutAlpn,
    /// The connection must be encrypted.
    #[error("connection requires TLS")]
    TlsRequired,
    /// A first byte that is no message's.
    #[error("invalid frontend message type {0}")]
    MessageType(u8),
    /// The body ends too early.
    #[error("insufficient data left in message")]
    BodyTooShort,
    /// The body goes on too long.
    #[error("invalid message format")]
    BodyTooLong,
    /// A string without its NUL.
    #[error("invalid string in message")]
    Unterminated,
    /// More than `max_message_size`.
    #[error("message of {size} bytes exceeds the limit of {limit} bytes")]
    TooLarge { size: usize, limit: usize },
    /// More SQL than `max_statement_size`.
    #[error("statement of {size} bytes exceeds the limit of {limit} bytes")]
    StatementTooLarge { size: usize, limit: usize },
    /// More parameters than `max_parameters`.
    #[error("statement has {count} parameters, the limit is {limit}")]
    TooManyParameters { count: usize, limit: usize },
    /// A result of more columns than a message can count.
    #[error("result has {columns} columns, the limit is {limit}")]
    TooManyColumns { columns: usize, limit: usize },
    /// A message that has no place here.
    #[error("unexpected message type 0x{0:02X} during {1}")]
    Unexpected(u8, &'static str),
    /// Describe or Close of neither a statement nor a portal.
    #[error("invalid {0} message subtype {1}")]
    Subtype(&'static str, u8),
    /// Format codes that do not fit the parameters.
    #[error("bind message has {formats} parameter formats but {parameters} parameters")]
    ParameterFormats { formats: usize, parameters: usize },
    /// Too many or too few parameters.
    #[error("bind message supplies {supplied} parameters, but prepared statement \"{statement}\" requires {required}")]
    ParameterCount { supplied: usize, statement: String, required: usize },
    /// Format codes that do not fit the result.
    #[error("bind message has {formats} result formats but query has {columns} columns")]
    ResultFormats { formats: usize, columns: usize },
    /// A format code other than 0 and 1.
    #[error("unsupported format code: {0}")]
    FormatCode(i16),
    /// One connection too many.
    #[error("sorry, too many clients already")]
    TooManyClients,
    /// The statement ran too long.
    #[error("canceling statement due to statement timeout")]
    StatementTimeout,
    /// The server is going away.
    #[error("terminating connection due to administrator command")]
    ShuttingDown,
}

impl ReportError for ProtocolError {
    fn sqlstate(&self) -> SqlState {
        match self {
            Self::MessageLength
            | Self::StartupLength
            | Self::StartupLayout
            | Self::DataBeforeTls
            | Self::DirectTlsWithoutAlpn
            | Self::MessageType(_)
            | Self::BodyTooShort
            | Self::BodyTooLong
            | Self::Unterminated
            | Self::Unexpected(..)
            | Self::Subtype(..)
            | Self::ParameterFormats { .. }
            | Self::ParameterCount { .. }
            | Self::ResultFormats { .. } => SqlState::PROTOCOL_VIOLATION,
            Self::NoUser | Self::TlsRequired => SqlState::INVALID_AUTHORIZATION,
            Self::StartupOption(_) | Self::StartupOptionValue(_) => SqlState::SYNTAX_ERROR,
            Self::Version(..) | Self::Replication => SqlState::FEATURE_NOT_SUPPORTED,
            Self::TooLarge { .. } | Self::StatementTooLarge { .. } | Self::TooManyParameters { .. } | Self::TooManyColumns { .. } => {
                SqlState::PROGRAM_LIMIT_EXCEEDED
            }
            Self::FormatCode(_) => SqlState::INVALID_PARAMETER_VALUE,
            Self::StatementTimeout => SqlState::QUERY_CANCELED,
            Self::TooManyClients => SqlState::TOO_MANY_CONNECTIONS,
            Self::ShuttingDown => SqlState::ADMIN_SHUTDOWN,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooManyClients => Some("Raise limits.max_connections, or use a connection pool.".to_owned()),
            Self::TooLarge { .. } => Some("Raise limits.max_message_size.".to_owned()),
            Self::StatementTooLarge { .. } => {
                Some("Raise limits.max_statement_size, or load the values with COPY … FROM STDIN.".to_owned())
            }
            Self::TooManyParameters { .. } => Some("Raise limits.max_parameters, or pass arrays.".to_owned()),
            Self::TlsRequired => Some("Connect with sslmode=require.".to_owned()),
            _ => None,
        }
    }
}
