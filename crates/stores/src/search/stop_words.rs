//! Words that say little: in a query they need not be found as long as others are.
//!
//! They stand in the index all the same, so that "to be or not to be" is found as a phrase.

/// Articles, conjunctions, prepositions and pronouns, without accents, as a query has them once it is folded.
const STOP_WORDS: [(&str, &str); 11] = [
    (
        "danish",
        "af alle at da de dem den der deres det dig din dit du efter eller en er et for fra han hans har hun hvad hvor i ikke ind jeg kan man med mig min mit nar og ogsa om op os over pa sig sin skal som til ud under var ved vi vil",
    ),
    (
        "dutch",
        "aan al als bij dat de den der des deze die dit een en er het hij hoe ik in is je maar met mijn naar niet nog nu of om onder ook op over te tot u uit van voor was wat we wel wij ze zich zij zijn zo",
    ),
    (
        "english",
        "a an and are as at be but by for from if in into is it its no not of on or our such that the their then there these they this to was we were will with you your",
    ),
    (
        "french",
        "a au aux avec ce ces cette d dans de des du elle elles en est et eux il ils j je l la le les leur leurs lui ma mais mes mon ne nos notre nous on ou par pas pour qu que qui s sa se ses son sont sur ta te tes toi ton tu un une vos votre vous y",
    ),
    (
        "german",
        "aber als am an auch auf aus bei bis das dass dem den der des die du ein eine einem einen einer eines er es fur hat ich ihr im in ist kann man mit nach nicht noch nur ob oder sich sie sind so und vom von vor war was wenn wer wie wir wird zu zum zur",
    ),
    (
        "italian",
        "a ad ai al alla alle anche che chi ci come con da dai dal dalla de degli dei del della delle di e ed gli i il in io l la le lo lui ma mi ne nei nel nella non o per piu se si sono su sua sul sulla suo ti tra tu un una uno vi",
    ),
    (
        "norwegian",
        "a alle at av da de dem den der deres det din disse du eller en er et etter for fra ham han hun hva hvem hvor i ikke inn jeg kan med meg min mitt nar og ogsa om opp oss over pa seg sin skal som til under ut var ved vi vil",
    ),
    (
        "portuguese",
        "a ao aos as com como da das de dela dele do dos e ela elas ele eles em entre era essa esse esta este eu foi isso ja la lhe mais mas me meu minha muito na nao nas nem no nos nossa nosso o os ou para pela pelo por qual que quem se sem ser seu sua tem um uma voce",
    ),
    (
        "russian",
        "а бы в во вот все вы где да для до его ее если есть же за и из или их к как когда кто ли мне мы на над не нет но ну о об он она они оно от по под при с со так также там то только ты у что это я",
    ),
    (
        "spanish",
        "a al como con cual cuando de del desde donde e el ella ellas ellos en entre era es esa ese eso esta este esto ha hay la las le les lo los mas me mi muy nada ni no nos o os para pero por que quien se ser si sin sobre son su sus tambien te tu un una uno y ya yo",
    ),
    (
        "swedish",
        "alla att av da de dem den denna deras det detta dig din du efter eller en er ett fran for ha han har hans hon hur i icke in inte jag kan man med men mig min mot nar ni nu och om oss pa sa sig sin ska som till under upp ut vad var vi vid vill",
    ),
];

/// Whether a word of a query is a stop word of the language.
pub(super) fn is_stop_word(language: &str, folded: &str) -> bool {
    let words = STOP_WORDS.iter().find(|(name, _)| *name == language);
    words.is_some_and(|(_, words)| words.split(' ').any(|word| word == folded))
}

#[cfg(test)]
mod tests {
    use super::super::analyze::Analyzer;
    use super::*;

    #[test]
    fn stop_words_are_as_a_query_has_them() {
        assert!(is_stop_word("english", "the") && !is_stop_word("english", "scarf"));
        assert!(is_stop_word("german", "für".replace('ü', "u").as_str()));
        assert!(!is_stop_word("klingon", "the"));
        for (language, words) in STOP_WORDS {
            for word in words.split(' ') {
                let folded = Analyzer::new(None).words(word).pop().map(|word| word.folded);
                assert_eq!(folded.as_deref(), Some(word), "{language}");
            }
        }
    }
}
